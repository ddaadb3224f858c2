"""Machines with cables between them: network namespaces, for a link that goes dead.

A client on one that loses the cable is gone without FIN or RST, and what is sent to it is lost
without an answer. Only root may make them. They end with the processes that hold them open, so
nothing stays behind, whatever becomes of the tests.
"""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.process import LIBC, Child, PartMissing, run, wait_until

CLONE_NEWNET = 0x40000000  # linux/sched.h
HERE = Path("/proc/self/ns/net")
SERVER_ADDRESS = "192.0.2.1"  # TEST-NET-1: nobody's
CLIENT_ADDRESS = "192.0.2.2"
START_TIMEOUT_S = 30.0


class Machine:
    """A network of its own; sockets made and processes started `inside()` belong to it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._holder = Child(
            ["unshare", "--net", "sleep", "infinity"],
            folder / f"{name}.log",
            death_signal=signal.SIGKILL,
        )
        self.place = Path(f"/proc/{self._holder.pid}/ns/net")
        try:
            wait_until(self._apart, START_TIMEOUT_S, f"{name} has a network of its own")
        except AssertionError:
            self.end()
            raise

    @property
    def pid(self) -> int:
        return self._holder.pid

    @contextmanager
    def inside(self) -> Iterator[None]:
        back = os.open(HERE, os.O_RDONLY)
        there = os.open(self.place, os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(back)
            os.close(there)
            os.close(back)

    def end(self) -> None:
        self._holder.end()

    def _apart(self) -> bool:
        assert self._holder.alive, self._holder.log()
        return self.place.readlink() != HERE.readlink()


class TwoMachines:
    """`server` at SERVER_ADDRESS, `client` at CLIENT_ADDRESS."""

    def __init__(self, server: Machine, client: Machine) -> None:
        self.server, self.client = server, client
        lay_cable(server, "cable", SERVER_ADDRESS, client, CLIENT_ADDRESS)

    def cut_cable(self) -> None:
        _set(self.client, "cable", "down")

    def mend_cable(self) -> None:
        _set(self.client, "cable", "up")


class Star:
    """A hub, and machines with a cable each to it. The machine of that number is at
    `address(number)`, and sees the hub at `hub_address(number)`."""

    def __init__(self, hub: Machine, *machines: Machine) -> None:
        self.hub, self.machines = hub, machines
        for number, machine in enumerate(machines):
            ends = self.hub_address(number), machine, self.address(number)
            lay_cable(hub, machine.name, *ends)

    @staticmethod
    def hub_address(number: int) -> str:
        return f"192.0.2.{4 * number + 1}"

    @staticmethod
    def address(number: int) -> str:
        return f"192.0.2.{4 * number + 2}"

    def cut_cable(self, number: int) -> None:
        _set(self.hub, self.machines[number].name, "down")

    def mend_cable(self, number: int) -> None:
        _set(self.hub, self.machines[number].name, "up")


def lay_cable(one: Machine, name: str, address: str, other: Machine, its_address: str) -> None:
    """It has this name at `one`, and is called "cable" at the other one."""
    with one.inside():
        run(["ip", "link", "add", name, "type", "veth", "peer", "name", "cable", "netns",
             other.pid])  # fmt: skip
    for machine, its_name, at in ((one, name, address), (other, "cable", its_address)):
        with machine.inside():
            run(["ip", "link", "set", "lo", "up"])
            run(["ip", "address", "add", f"{at}/30", "dev", its_name])
            run(["ip", "link", "set", its_name, "up"])


def _set(machine: Machine, cable: str, state: str) -> None:
    with machine.inside():
        run(["ip", "link", "set", cable, state])


@contextmanager
def two_machines(folder: Path) -> Iterator[TwoMachines]:
    """Raises PartMissing where they cannot be made."""
    with _machines(folder, "server", "client") as made:
        yield TwoMachines(*made)


@contextmanager
def star(folder: Path, *names: str) -> Iterator[Star]:
    """A hub and a machine for each name. Raises PartMissing where they cannot be made."""
    with _machines(folder, "hub", *names) as made:
        yield Star(*made)


@contextmanager
def _machines(folder: Path, *names: str) -> Iterator[list[Machine]]:
    if os.geteuid() != 0:
        raise PartMissing("only root may make networks")
    made: list[Machine] = []
    try:
        try:
            made += [Machine(folder, name) for name in names]
        except (AssertionError, OSError) as error:
            raise PartMissing(f"no networks can be made here: {error}") from None
        yield made
    finally:
        for machine in made:
            machine.end()


def _enter(network: int) -> None:
    """This thread's network from now on; `os.setns()` came with Python 3.12."""
    if LIBC is None or LIBC.setns(network, CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")
