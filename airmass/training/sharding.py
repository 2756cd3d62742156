"""Device mesh of a run, with axes data, member and space, and placement of arrays on it."""

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import PyTree

from airmass.core.errors import InputError
from airmass.recipes.settings import DeviceSettings, TrainingSettings

# Examples are distributed along data and member; nodes of the grid along space.
EXAMPLES, SPACE = ("data", "member"), "space"


def join_processes(settings: DeviceSettings) -> None:
    """Connect the processes of a run through JAX's runtime. Call it before anything asks for devices.

    With a coordinator on the loopback interface, no port is opened on another interface.
    """
    if settings.coordinator is not None:
        host, _, port = settings.coordinator.rpartition(":")
        if not host or not port.isdigit():
            raise InputError(f"devices: coordinator is {settings.coordinator!r}, expected host:port")
        jax.distributed.initialize(
            settings.coordinator,
            settings.processes,
            settings.process,
            coordinator_bind_address=settings.coordinator if settings.process == 0 else None,
        )
    elif settings.distributed:
        try:
            jax.distributed.initialize()
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"devices: no other processes found from the environment ({error}); give coordinator, processes and "
                "process"
            ) from error


def mesh_of(settings: DeviceSettings, training: TrainingSettings) -> Mesh:
    """Mesh of all devices in use. Raises InputError for too few devices, and for a batch that cannot be distributed."""
    found = len(jax.devices())
    data = settings.data or max(1, found // (settings.member * settings.space))
    shape = data, settings.member, settings.space
    wanted = int(np.prod(shape))
    if wanted > found:
        axes = f"data {data} x member {settings.member} x space {settings.space}"
        raise InputError(f"devices: {axes} is {wanted}, but {found} were found")
    if jax.process_count() > 1 and wanted != found:
        raise InputError(f"devices: {wanted} of {found} would be used, expected all where there are several processes")
    at_once = training.batch // training.accumulate
    if at_once % (data * settings.member):
        if settings.data is None and settings.member == 1:  # as many as the batch has examples for
            data = max(n for n in range(1, data + 1) if at_once % n == 0)
            shape = data, 1, settings.space
        if at_once % (shape[0] * shape[1]) or (jax.process_count() > 1 and int(np.prod(shape)) != found):
            raise InputError(
                f"devices: {shape[0] * shape[1]} along data and member, but {at_once} examples at once (batch "
                f"{training.batch} in {training.accumulate} parts), expected a multiple"
            )
    devices = np.array(jax.devices()[: int(np.prod(shape))]).reshape(shape)
    return Mesh(devices, ("data", "member", "space"))


def one_device() -> Mesh:
    """Mesh of one device."""
    return Mesh(np.array(jax.devices()[:1]).reshape(1, 1, 1), ("data", "member", "space"))


def replicated(tree: PyTree, mesh: Mesh) -> PyTree:
    """Replicate a tree on every device; every process must have the same values."""
    return jax.device_put(tree, NamedSharding(mesh, P()))


def spread(tree: PyTree, specs: PyTree, mesh: Mesh) -> PyTree:
    """Shard each leaf by its specification or that of its subtree; every process must have the whole tree."""

    def put(spec: P, part: PyTree) -> PyTree:
        return jax.device_put(part, NamedSharding(mesh, spec))

    return jax.tree.map(put, specs, tree, is_leaf=lambda x: isinstance(x, P))


def own_share(mesh: Mesh, examples: int) -> slice:
    """Slice of the examples in parallel that this process reads: those of its devices."""
    return _own(mesh.devices.reshape(-1, mesh.shape["space"]), examples)


def own_nodes(mesh: Mesh, nodes: int) -> slice:
    """Slice of the grid nodes that this process reads: those of its devices."""
    return _own(mesh.devices.reshape(-1, mesh.shape["space"]).T, nodes)


def _own(devices: np.ndarray, count: int) -> slice:
    """Slice of `count` items, distributed evenly along the first axis of `devices`, on the devices of this process."""
    mine = [i for i, row in enumerate(devices) if any(d.process_index == jax.process_index() for d in row)]
    each = count // len(devices)
    return slice(mine[0] * each, (mine[-1] + 1) * each)


def wait_for_all(where: str) -> None:
    """Wait until every process has reached the same point."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)


def leads() -> bool:
    """True for the one process that writes shared files."""
    return jax.process_index() == 0
