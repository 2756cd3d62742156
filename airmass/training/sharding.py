"""Device mesh of a run, with axes data, member and space, and placement of arrays on it."""

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import PyTree

from airmass.core.errors import InputError
from airmass.recipes.settings import DeviceSettings, TrainingSettings

# Along data lie examples, along space nodes of the grid, along member the members that a loss compares (or examples,
# where it compares none).
DATA, MEMBER, SPACE = "data", "member", "space"


def example_axes(members: int) -> tuple[str, ...]:
    """Axes of devices along which the examples of a batch are distributed, if the loss compares so many members."""
    return (DATA,) if members > 1 else (DATA, MEMBER)


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


def mesh_of(settings: DeviceSettings, training: TrainingSettings, members: int = 1) -> Mesh:
    """Mesh of all devices in use, for a loss of so many `members`.

    Raises InputError for too few devices, and for a batch or members that cannot be distributed.
    """
    require_members(settings, members)
    found = len(jax.devices())
    data = settings.data or max(1, found // (settings.member * settings.space))
    shape = data, settings.member, settings.space
    wanted = int(np.prod(shape))
    if wanted > found:
        axes = f"data {data} x member {settings.member} x space {settings.space}"
        raise InputError(f"devices: {axes} is {wanted}, but {found} were found")
    if jax.process_count() > 1 and wanted != found:
        raise InputError(f"devices: {wanted} of {found} would be used, expected all where there are several processes")
    at_once, along_member = training.batch // training.accumulate, 1 if members > 1 else settings.member
    if at_once % (data * along_member):
        if settings.data is None and along_member == 1:  # as many as the batch has examples for
            data = max(n for n in range(1, data + 1) if at_once % n == 0)
            shape = data, settings.member, settings.space
        if at_once % (shape[0] * along_member) or (jax.process_count() > 1 and int(np.prod(shape)) != found):
            raise InputError(
                f"devices: {shape[0] * along_member} along {' and '.join(example_axes(members))}, but {at_once} "
                f"examples at once (batch "
                f"{training.batch} in {training.accumulate} parts), expected a multiple"
            )
    devices = np.array(jax.devices()[: int(np.prod(shape))]).reshape(shape)
    return Mesh(devices, ("data", "member", "space"))


def require_members(settings: DeviceSettings, members: int) -> None:
    """Raise InputError where the members that a loss compares do not divide over the devices along `member`."""
    if members > 1 and members % settings.member:
        raise InputError(f"devices: member is {settings.member}, expected a divisor of model.members, {members}")


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


def own_share(mesh: Mesh, examples: int, members: int = 1) -> slice:
    """Slice of the examples in parallel that this process reads: those of its devices."""
    rows = int(np.prod([mesh.shape[axis] for axis in example_axes(members)]))
    return _own(mesh.devices.reshape(rows, -1), examples)


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
