"""Training states on disk, through orbax. Each is complete or absent, even if the process is killed."""

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

_STATE, _ATTRIBUTES = "state", "about"
FOLDER = "checkpoints"
# States that a run can return to after a spike. Their updates do not depend on the machine's speed.
MILESTONES = "milestones"


class Checkpoints:
    """Training states of a run by update: the last two saved for safety, and the last two milestones.

    `save` copies the state and writes it in the background; `close` waits for that. `attributes` are stored beside each
    state, for people and other programs.
    """

    def __init__(self, run: Path, attributes: dict):
        import orbax.checkpoint as ocp

        # orbax logs every save at the root logger's level.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        # A failure in the background is raised by the next save; asyncio would log it for every array too.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        self._ocp, self._attributes = ocp, attributes
        self._managers = {name: self._manager((run / name).resolve()) for name in (FOLDER, MILESTONES)}

    def _manager(self, folder: Path):
        options = self._ocp.CheckpointManagerOptions(max_to_keep=2, create=True, cleanup_tmp_directories=True)
        with writing(folder):
            return self._ocp.CheckpointManager(folder, options=options)

    @property
    def latest(self) -> int | None:
        """Newest complete update; None before the first."""
        return max((step for manager in self._managers.values() for step in manager.all_steps()), default=None)

    def milestone_before(self, update: int) -> int | None:
        """Newest milestone before `update`; None if there is none."""
        return max((step for step in self._managers[MILESTONES].all_steps() if step < update), default=None)

    def save(self, update: int, state: PyTree, milestone: bool = False) -> None:
        """Save a state in the background. Raises InputError if an earlier save failed, for example on a full disk."""
        manager = self._managers[MILESTONES if milestone else FOLDER]
        args = self._ocp.args
        items = {
            _STATE: args.StandardSave(_numbered(state)),
            _ATTRIBUTES: args.JsonSave(self._attributes | {"update": update}),
        }
        with _saving(manager.directory):
            manager.save(update, args=args.Composite(**items), force=True)

    def restore(self, update: int, like: PyTree) -> PyTree:
        """Read the state saved at `update`, with the structure and placement of `like`."""
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
        """Delete all states after `update`, so that a killed run resumes from there."""
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
    """Turn the error of a failed save, now or in the background, into an InputError with the system's reason."""
    try:
        with writing(folder):
            yield
    except ValueError as error:  # tensorstore's, of many lines; the last has the reason
        why = re.sub(r" \[os_error_code.*", "", " ".join(str(error).split()))
        raise InputError(f"{folder}: the training state cannot be saved: {why.rpartition(': ')[2]}") from None


def _numbered(tree: PyTree) -> dict[str, jax.Array]:
    """Leaves by the path of their names, so that orbax does not depend on our classes."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {path_name(path): leaf for path, leaf in leaves}
