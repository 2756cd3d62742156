"""Training states on disk, through orbax: each is complete or absent, whenever the process dies."""

import logging
from pathlib import Path

import jax
from jaxtyping import PyTree

from airmass.files import writing


class Checkpoints:
    """The training states of a run, by update; the last two are kept.

    Saving copies the state and writes it in the background; `close` waits for it.
    """

    def __init__(self, folder: str | Path):
        import orbax.checkpoint as ocp

        # orbax tells the story of every save on the root logger's level.
        logging.getLogger("absl").setLevel(logging.ERROR)
        self._ocp, self._folder = ocp, Path(folder).resolve()
        options = ocp.CheckpointManagerOptions(max_to_keep=2, create=True, cleanup_tmp_directories=True)
        with writing(folder):
            self._manager = ocp.CheckpointManager(self._folder, options=options)

    @property
    def latest(self) -> int | None:
        """The newest complete update, None before the first."""
        return self._manager.latest_step()

    def save(self, update: int, state: PyTree) -> None:
        with writing(self._folder):
            self._manager.save(update, args=self._ocp.args.StandardSave(_numbered(state)), force=True)

    def restore(self, update: int, like: PyTree) -> PyTree:
        """The state saved at `update`, with the structure of `like`."""
        template = jax.tree.map(self._ocp.utils.to_shape_dtype_struct, _numbered(like))
        saved = self._manager.restore(update, args=self._ocp.args.StandardRestore(template))
        leaves = [saved[name] for name in _numbered(like)]
        return jax.tree.unflatten(jax.tree.structure(like), leaves)

    def close(self) -> None:
        with writing(self._folder):
            self._manager.wait_until_finished()
            self._manager.close()


def _numbered(tree: PyTree) -> dict[str, jax.Array]:
    """Leaves by the path of their names: orbax then needs to know nothing of our classes."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
