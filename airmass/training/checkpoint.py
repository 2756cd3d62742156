"""Training states on disk, through orbax: each is complete or absent, whenever the process dies."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
from jaxtyping import PyTree

from airmass.core.errors import InputError
from airmass.core.files import writing
from airmass.core.parameter_paths import path_name

_STATE, _ABOUT = "state", "about"
FOLDER = "checkpoints"
# Those that a spike can send the run back to. They do not depend on how fast the machine is.
MILESTONES = "milestones"


class Checkpoints:
    """The training states of a run, by update: the last two saved for safety, and the last two milestones.

    Saving copies the state and writes it in the background; `close` waits for it. `about` is kept beside each state:
    what a person or another program needs to make sense of it.
    """

    def __init__(self, run: Path, about: dict):
        import orbax.checkpoint as ocp

        # orbax tells the story of every save on the root logger's level.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        # What fails in the background is raised by the next save; asyncio would tell it for every array besides.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        self._ocp, self._about = ocp, about
        self._managers = {name: self._manager((run / name).resolve()) for name in (FOLDER, MILESTONES)}

    def _manager(self, folder: Path):
        options = self._ocp.CheckpointManagerOptions(max_to_keep=2, create=True, cleanup_tmp_directories=True)
        with writing(folder):
            return self._ocp.CheckpointManager(folder, options=options)

    @property
    def latest(self) -> int | None:
        """The newest complete update, None before the first."""
        return max((step for manager in self._managers.values() for step in manager.all_steps()), default=None)

    def milestone_before(self, update: int) -> int | None:
        """The newest milestone before `update`."""
        return max((step for step in self._managers[MILESTONES].all_steps() if step < update), default=None)

    def save(self, update: int, state: PyTree, milestone: bool = False) -> None:
        """Raises InputError where an earlier save turns out to have failed, as on a full disk."""
        manager = self._managers[MILESTONES if milestone else FOLDER]
        args = self._ocp.args
        items = {_STATE: args.StandardSave(_numbered(state)), _ABOUT: args.JsonSave(self._about | {"update": update})}
        with _saving(manager.directory):
            manager.save(update, args=args.Composite(**items), force=True)

    def restore(self, update: int, like: PyTree) -> PyTree:
        """The state saved at `update`, with the structure and placement of `like`."""
        manager = next(manager for manager in self._managers.values() if update in manager.all_steps())
        template = jax.tree.map(self._ocp.utils.to_shape_dtype_struct, _numbered(like))
        args = self._ocp.args.Composite(**{_STATE: self._ocp.args.StandardRestore(template)})
        try:
            saved = manager.restore(update, args=args)[_STATE]
        except (ValueError, KeyError, FileNotFoundError) as error:
            words = " ".join(str(error).split())
            raise InputError(
                f"{manager.directory / str(update)}: cannot be read as a training state: {words}"
            ) from error
        leaves = [saved[name] for name in _numbered(like)]
        return jax.tree.unflatten(jax.tree.structure(like), leaves)

    def forget_after(self, update: int) -> None:
        """Delete every state beyond `update`, so that a run that dies now goes on from there."""
        for manager in self._managers.values():
            manager.wait_until_finished()
            for step in manager.all_steps():
                if step > update:
                    manager.delete(step)

    def close(self) -> None:
        for manager in self._managers.values():
            with _saving(manager.directory):
                manager.wait_until_finished()
                manager.close()


@contextmanager
def _saving(folder: Path) -> Iterator[None]:
    """Turn what a failed save raises, now or in the background, into an InputError with the system's reason."""
    try:
        with writing(folder):
            yield
    except ValueError as error:  # tensorstore's, of many lines, the last of which says why
        why = re.sub(r" \[os_error_code.*", "", " ".join(str(error).split()))
        raise InputError(f"{folder}: the training state cannot be saved: {why.rpartition(': ')[2]}") from None


def _numbered(tree: PyTree) -> dict[str, jax.Array]:
    """Leaves by the path of their names: orbax then needs to know nothing of our classes."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {path_name(path): leaf for path, leaf in leaves}
