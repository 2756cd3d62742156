"""Reading a trained model from disk, by airmass or published."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from airmass.core.arrays import ArrayFile
from airmass.core.errors import InputError
from airmass.core.place import local_path
from airmass.forecasting.checkpoints.airmass_file import OwnCheckpoint
from airmass.forecasting.checkpoints.base import Checkpoint
from airmass.forecasting.checkpoints.location import checkpoint_file
from airmass.forecasting.checkpoints.model_file import read_model
from airmass.forecasting.checkpoints.published import PublishedCheckpoint
from airmass.models.family import families


def read_checkpoint(checkpoint: str | Path, config: str | Path | None = None) -> Checkpoint:
    """Read a checkpoint (see `checkpoint_file`). Raises InputError if it is not one.

    `config` is the configuration of a published checkpoint that has one. Statistics in a folder are not read.
    """
    path = checkpoint_file(checkpoint)
    keys = list(ArrayFile(path))
    with _named(path, config):
        family = next((f for f in families().values() if f.published and _has(keys, f.published.mark)), None)
        needs_config = family is not None and family.published is not None and family.published.configured
        if config is not None and not needs_config:
            raise InputError(f"{path}: contains its settings; leave out --config {config}")
        if "json" in keys:
            return OwnCheckpoint(path, read_model(path))
        if family is not None and family.published is not None:
            if not needs_config:
                return PublishedCheckpoint(path, family, family.published.read(path))
            if config is None:
                raise InputError(
                    f"{path}: has no settings; give its configuration, such as WeatherNext2.json, by --config"
                )
            config = local_path(config, "configuration")
            return PublishedCheckpoint(path, family, family.published.read(path, config), config)
    known = " or ".join(family.title for family in families().values() if family.published)
    found = ", ".join(keys[:5]) or "none"
    raise InputError(f"{path}: not a checkpoint of airmass nor a published {known}; keys found: {found}")


def _has(keys: Sequence[str], mark: str) -> bool:
    return any(key.startswith(mark) for key in keys)


@contextmanager
def _named(*paths: str | Path | None) -> Iterator[None]:
    """Have what is said against a checkpoint begin with its path; settings in it do not know where they stand."""
    try:
        yield
    except InputError as error:
        named = any(str(error).startswith(f"{path}: ") for path in paths)
        raise error if named else InputError(f"{paths[0]}: {error}") from None
