// Bundles the viewer into airmass/plots/viewer: the same bytes on every machine with the locked packages.
import { build } from "esbuild";
import { readFileSync, writeFileSync } from "node:fs";

const out = new URL("../airmass/plots/viewer/", import.meta.url);
const licences = ["d3-geo", "d3-array", "internmap", "fflate", "topojson-client", "world-atlas"]
  .map((name) => {
    const folder = new URL(`node_modules/${name}/`, import.meta.url);
    const about = JSON.parse(readFileSync(new URL("package.json", folder), "utf8"));
    const text = readFileSync(new URL("LICENSE", folder), "utf8").trim();
    return `${name} ${about.version}\n\n${text}\n`;
  })
  .join("\n----\n\n");

const made = await build({
  entryPoints: [new URL("src/main.ts", import.meta.url).pathname],
  bundle: true,
  minify: true,
  write: false,
  format: "iife",
  target: "es2022",
  charset: "ascii",
  legalComments: "none",
});
const script = made.outputFiles[0].text;
if (/<\/script|<!--/i.test(script)) throw new Error("the script would end its element");
const style = await build({
  entryPoints: [new URL("src/viewer.css", import.meta.url).pathname], minify: true, write: false,
});
writeFileSync(new URL("viewer.js", out), script);
writeFileSync(new URL("viewer.css", out), style.outputFiles[0].text);
writeFileSync(new URL("LICENCES.txt", out), `The page of airmass view contains:\n\n${licences}\n----\n\nCoastlines: Natural Earth, public domain.\n`);
console.log(`viewer.js ${script.length} bytes, viewer.css ${style.outputFiles[0].text.length} bytes`);
