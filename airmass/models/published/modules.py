"""Names of the modules that both published models share, and how a leaf of ours is named in theirs."""

from collections.abc import Mapping

# Our module -> theirs, for the encoder and the decoder.
PERCEPTRONS = {
    "encoder.embed_grid": "grid2mesh_gnn/~_networks_builder/encoder_nodes_grid_nodes",
    "encoder.embed_mesh": "grid2mesh_gnn/~_networks_builder/encoder_nodes_mesh_nodes",
    "encoder.embed_edges": "grid2mesh_gnn/~_networks_builder/encoder_edges_grid2mesh",
    "encoder.interaction.edge_mlp": "grid2mesh_gnn/~_networks_builder/processor_edges_0_grid2mesh",
    "encoder.interaction.node_mlp": "grid2mesh_gnn/~_networks_builder/processor_nodes_0_mesh_nodes",
    "encoder.grid_update": "grid2mesh_gnn/~_networks_builder/processor_nodes_0_grid_nodes",
    "decoder.embed_edges": "mesh2grid_gnn/~_networks_builder/encoder_edges_mesh2grid",
    "decoder.interaction.edge_mlp": "mesh2grid_gnn/~_networks_builder/processor_edges_0_mesh2grid",
    "decoder.interaction.node_mlp": "mesh2grid_gnn/~_networks_builder/processor_nodes_0_grid_nodes",
    "decoder.mesh_update": "mesh2grid_gnn/~_networks_builder/processor_nodes_0_mesh_nodes",
    "decoder.output": "mesh2grid_gnn/~_networks_builder/decoder_nodes_grid_nodes",
}


def leaf_of(name: str, modules: Mapping[str, str], leaves: Mapping[str, str]) -> str:
    """The published key of our leaf `name`: its module's prefix and its own ending, which may hold a layer's number.

    Leaves of perceptrons are `layers.<number>.weight` and the like; of norms, `norm.scale`.
    """
    module = next(module for module in modules if name.startswith(f"{module}."))
    *inside, kind = name.removeprefix(f"{module}.").split(".")
    if inside and inside[0] == "norm":
        kind = ".".join([*inside[1:], kind])
        return modules[module] + leaves[f"norm.{kind}" if f"norm.{kind}" in leaves else kind]
    return modules[module] + leaves[kind].replace("{}", inside[-1] if inside else "")
