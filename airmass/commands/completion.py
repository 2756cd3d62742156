"""`airmass completion bash`."""

import contextlib
import importlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import tyro

from airmass.commands.options import parse
from airmass.forecasting.checkpoints.location import SHIPPED

# Commands whose first word is a recipe; it must be there for their help.
_WITH_RECIPE = ("train", "plan")
# Words before the place of a checkpoint; read by bash and by Python.
_BEFORE_A_MODEL = "^(inspect|.*--checkpoint|train .*--start)$"


@dataclass(frozen=True)
class Completion:
    """Print a script that completes commands and options in a shell: `source <(airmass completion bash)`."""

    shell: tyro.conf.Positional[Literal["bash", "zsh", "fish"]] = "bash"
    """Shell to complete in."""


def run(arguments: list[str]) -> None:
    shell = parse(Completion, "airmass completion", arguments).shell
    print({"bash": bash, "zsh": zsh, "fish": fish}[shell]())


def options_of(command: str) -> list[str]:
    """Options of a command, from its help."""
    from airmass.commands.main import COMMANDS

    words = [_recipes()[0]] if command in _WITH_RECIPE else []
    said = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(said):
        importlib.import_module(f"airmass.commands.{COMMANDS[command][0]}").run([*words, "--help"])
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z0-9.-]*[a-z0-9]", said.getvalue())))


def bash() -> str:
    """Script for bash; other words than options are completed as files, where a model goes also as its name."""
    cases = "\n".join(f'    "{words}") choices="{choices}" ;;' for words, choices in _cases())
    return f"""_airmass() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[*]:1:$((COMP_CWORD - 1))}}" choices=""
  if [[ $current == -* ]]; then before="${{COMP_WORDS[1]}}"; [[ $before == data ]] && before="data ${{COMP_WORDS[2]}}"
    before="$before -"; fi
  if [[ $before =~ {_BEFORE_A_MODEL} ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -W "{" ".join(SHIPPED)}" -- "$current") $(compgen -f -- "$current"))
    return
  fi
  case "$before" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$choices" -- "$current"))
}}
complete -o default -F _airmass airmass"""


def zsh() -> str:
    return f"autoload -U +X compinit && compinit -u\nautoload -U +X bashcompinit && bashcompinit\n{bash()}"


def fish() -> str:
    from airmass.commands.main import COMMANDS

    lines = []
    for words, choices in _cases():
        if words.endswith(" -"):
            seen = " and ".join(f"__fish_seen_subcommand_from {word}" for word in words.removesuffix(" -").split())
            lines += [
                f"complete -c airmass -n '{seen}' -l {choice[2:]} -r{_models(words, choice)}"
                for choice in choices.split()
            ]
        else:
            seen = f"__fish_seen_subcommand_from {words}" if words else "__fish_use_subcommand"
            lines.append(f"complete -c airmass -n '{seen}' -a '{choices}'" + ("" if words in COMMANDS else " -f"))
    lines.append(f"complete -c airmass -n '__fish_seen_subcommand_from inspect' -a '{' '.join(SHIPPED)}'")
    return "\n".join(lines)


def _models(words: str, option: str) -> str:
    takes = re.search(_BEFORE_A_MODEL, f"{words.removesuffix('-')} {option}")
    return f" -a '{' '.join(SHIPPED)}'" if takes else ""


def _cases() -> Iterator[tuple[str, str]]:
    """Words before the cursor, with what may follow them; a last `-` stands for an option."""
    from airmass.commands.main import COMMANDS

    yield "", " ".join(dict.fromkeys(name.split()[0] for name in COMMANDS))
    yield "data", " ".join(name.split()[1] for name in COMMANDS if name.startswith("data "))
    for command in _WITH_RECIPE:
        yield command, " ".join(_recipes())
    for command in COMMANDS:
        yield f"{command} -", " ".join(options_of(command))


def _recipes() -> list[str]:
    from airmass.recipes.recipes import RECIPES

    return list(RECIPES)
