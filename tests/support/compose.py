"""Starts the services of docker-compose.yml as plain processes: same commands, settings, health checks and
order.

What a container gives is stood in for: its address becomes a free port of 127.0.0.1, its volumes, secrets and
/tmp become folders, and the programs of its image are those of this environment (pip) or of Debian (nginx).
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import yaml

from tests.support.container_programs import free_port, stand_ins

ROOT = Path(__file__).resolve().parent.parent.parent
START_S = 60.0
STOP_S = 20.0

# Ports inside the containers, by image.
_PORTS = {
    "mediasvc": (8080,),
    "nginx-unprivileged": (8080,),
    "caddy": (8080, 8081),
    "valkey": (6379,),
    "seaweedfs": (8333,),
}

# In a container SeaweedFS has its other ports for itself.
_SEAWEED_PORTS = ("-master.port", "-volume.port", "-filer.port", "-s3.port.grpc")


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """Compose's ${NAME:-default} and $$; a list or number in YAML is not text and never gets here."""

    def fill(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else values.get(match[1]) or match[2] or ""

    return re.sub(r"\$\$|\$\{(\w+)(?::-([^}]*))?\}", fill, text)


def _everywhere(value: Any, values: Mapping[str, str]) -> Any:
    match value:
        case str():
            return interpolate(value, values)
        case dict():
            return {key: _everywhere(part, values) for key, part in value.items()}
        case list():
            return [_everywhere(part, values) for part in value]
        case _:
            return value


@dataclass
class Started:
    """One service as a process. ports: by the port it has in its container."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    environment: dict[str, str]

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


class Topology:
    """A profile of the compose file, running while it is entered.

    extra: further settings for every mediasvc, as an operator's own environment would add them.
    """

    def __init__(self, profile: str, folder: Path, extra: Mapping[str, str]) -> None:
        file = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
        compose = _everywhere(file, {})
        self.folder = folder
        self.extra = dict(extra)
        self.all_services: dict[str, dict[str, Any]] = compose["services"]
        self.services = {n: s for n, s in self.all_services.items() if profile in s["profiles"]}
        self.dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
        self.started: dict[str, Started] = {}
        self.ports = {
            (name, port): free_port()
            for name, service in self.services.items()
            for port in _PORTS[_image(service)]
        }
        self.bin = folder / "bin"
        self.secrets = folder / "secrets"
        self.python = sys.executable
        self._seaweed_ports: set[int] = set()

    def localise(self, text: str, name: str) -> str:
        """Addresses of containers and folders in them, as they are here, seen from service `name`."""
        for (service, port), here in self.ports.items():
            text = re.sub(rf"(?<![\w.-]){re.escape(service)}:{port}\b", f"127.0.0.1:{here}", text)
            if service == name:
                text = re.sub(rf"(?:127\.0\.0\.1|0\.0\.0\.0):{port}\b", f"127.0.0.1:{here}", text)
                text = re.sub(rf"(http://:|\b(?:listen|port) |-s3\.port=){port}\b", rf"\g<1>{here}", text)
        text = text.replace("0.0.0.0", "127.0.0.1").replace("bind * -::*", "bind 127.0.0.1")
        # In one go: the folders of this machine may themselves lie in /tmp.
        folders = self._folders(name)
        longest_first = "|".join(re.escape(inside) for inside in sorted(folders, key=len, reverse=True))
        return re.sub(
            rf"(?<![\w/])(?:{longest_first})(?=[/\s'\";,:)]|$)", lambda found: str(folders[found[0]]), text
        )

    def _folders(self, name: str) -> dict[str, Path]:
        own = self.folder / name
        folders = {"/run/secrets": self.secrets, "/tmp": own / "tmp"}
        for volume in self.all_services[name].get("volumes", ()):
            source, target = volume.split(":")[:2]
            is_file = source.startswith("./deploy/")
            folders[target] = own / Path(target).name if is_file else self.folder / "volumes" / source
        return folders

    def environment(self, name: str) -> dict[str, str]:
        """The service's environment: its image's, then its own, then the operator's."""
        service = self.all_services[name]
        inside = {key: str(value) for key, value in service.get("environment", {}).items()}
        here = {
            "PATH": f"{self.bin}:{Path(self.python).parent}:{os.environ['PATH']}",
            "HOME": "/nonexistent",
            "TMPDIR": str(self.folder / name / "tmp"),
            "LANG": "C.UTF-8",
        }
        if _image(service) == "mediasvc":
            inside = dict(re.findall(r"\b(MEDIASVC_\w+)=(\S+)", self.dockerfile)) | inside
            here |= self.extra
            if (name, 8080) in self.ports:
                here["MEDIASVC_PORT"] = str(self.ports[name, 8080])
        return {key: self.localise(value, name) for key, value in inside.items()} | here

    def command(self, name: str, arguments: list[str] | None = None) -> list[str]:
        """The words that start the service; arguments: instead of its own command."""
        service = self.all_services[name]
        words = arguments or [self.localise(word, name) for word in service["command"]]
        match _image(service):
            case "mediasvc":
                words = [str(ROOT / "deploy" / "entrypoint"), *words]
            case "seaweedfs":
                ports = [free_port() for _ in _SEAWEED_PORTS]
                self._seaweed_ports = {*ports, *(port + 10_000 for port in ports), self.ports[name, 8333]}
                options = (f"{option}={port}" for option, port in zip(_SEAWEED_PORTS, ports, strict=True))
                words = [*service["entrypoint"], *words, *options]
            case "nginx-unprivileged" if os.getuid() == 0:
                # As root nginx would hand its work to a user that may not enter the test's folder.
                words = [*service["entrypoint"], *words[:-1], f"{words[-1]} user root;"]
            case _:
                words = [*service["entrypoint"], *words]
        return words

    def health_check(self, name: str) -> list[str]:
        """The command that says whether the service is healthy."""
        test = self.services[name].get("healthcheck", {}).get("test")
        if test is None:
            found = re.search(r"HEALTHCHECK.*?CMD (\[.*?\])\n", self.dockerfile, re.DOTALL)
            assert found is not None
            test = ["CMD", *yaml.safe_load(found[1])]
        words = [self.localise(word, name) for word in test[1:]]
        return ["sh", "-c", *words] if test[0] == "CMD-SHELL" else words

    def __enter__(self) -> "Topology":
        self._prepare()
        try:
            for name in self._in_order():
                self.start(name)
                self.wait_healthy(name)
        except BaseException:
            self._end(self.started.values())
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(reversed(self.started.values()))

    def _prepare(self) -> None:
        subprocess.run(["sh", ROOT / "deploy" / "make-secrets", self.secrets], check=True)
        # Each service gets them with the addresses as they are here.
        for secret in self.secrets.iterdir():
            text = self.localise(secret.read_text(encoding="utf-8"), next(iter(self.services)))
            secret.chmod(0o644)
            secret.write_text(text, encoding="utf-8")
        stand_ins(self.bin, valkey_port=self.ports.get(("valkey", 6379)), has_nginx="front" in self.services)

    def _in_order(self) -> list[str]:
        ordered: list[str] = []

        def add(name: str) -> None:
            for before in self.services[name].get("depends_on", ()):
                add(before)
            if name not in ordered:
                ordered.append(name)

        for name in self.services:
            add(name)
        return ordered

    def prepare_folders(self, name: str) -> None:
        """Volumes, /tmp, and the mounted files with the addresses as they are here."""
        (self.folder / name / "tmp").mkdir(parents=True, exist_ok=True)
        for volume in self.all_services[name].get("volumes", ()):
            source, target = volume.split(":")[:2]
            if source.startswith("./deploy/"):
                text = (ROOT / source).read_text(encoding="utf-8")
                (self.folder / name / Path(target).name).write_text(
                    self.localise(text, name), encoding="utf-8"
                )
            else:
                (self.folder / "volumes" / source).mkdir(parents=True, exist_ok=True)

    def start(self, name: str) -> Started:
        """Start one service; what it prints goes to its log."""
        self.prepare_folders(name)
        log = self.folder / name / "log"
        environment = self.environment(name)
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command(name),
                env=environment,
                cwd=self.folder / name,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started[name] = Started(name, process, log, environment)
        return self.started[name]

    def wait_healthy(self, name: str) -> None:
        """Ask the service's own health check until it agrees."""
        started = self.started[name]
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if started.process.poll() is not None:
                pytest.fail(f"{name} ended with {started.process.returncode}:\n{started.output()}")
            done = subprocess.run(
                self.health_check(name),
                env=started.environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
            )
            if done.returncode == 0:
                return
            time.sleep(0.1)
        pytest.fail(f"{name} is not healthy: {done.stdout}{done.stderr}\n{started.output()}")

    def stop(self, name: str) -> int:
        """SIGTERM, as Docker does; the exit code."""
        started = self.started[name]
        started.process.terminate()
        return started.process.wait(STOP_S)

    def kill(self, name: str) -> None:
        """SIGKILL to the service and all that it started."""
        started = self.started[name]
        os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait()

    def run(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """As `docker compose run --rm NAME ARGUMENTS`; paths are given as they are here."""
        self.prepare_folders(name)
        return subprocess.run(
            self.command(name, list(arguments)),
            env=self.environment(name),
            cwd=self.folder / name,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text(encoding="utf-8").strip()

    def url(self, name: str, path: str, port: int = 8080) -> str:
        return f"http://127.0.0.1:{self.ports[name, port]}{path}"

    def _end(self, services: Iterable[Started]) -> None:
        """Ours politely, while they can still reach the stores; the rest holds nothing that anybody wants
        again.
        """
        ours = [started for started in services if _image(self.all_services[started.name]) == "mediasvc"]
        for started in ours:
            if started.process.poll() is None:
                started.process.terminate()
        for started in ours:
            with suppress(subprocess.TimeoutExpired):
                started.process.wait(STOP_S)
        for started in self.started.values():
            with suppress(ProcessLookupError):
                os.killpg(started.process.pid, signal.SIGKILL)
            started.process.wait()
        for port in self._seaweed_ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)


def _image(service: Mapping[str, Any]) -> str:
    image: str = service["image"].rpartition(":")[0]
    return image.rpartition("/")[2].removeprefix("mediasvc-")
