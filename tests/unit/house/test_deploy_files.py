"""What the deployment files promise: hardened containers, pinned images, secrets from files, settings that
exist.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import fields
from ipaddress import IPv4Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from prometheus_client.metrics import MetricWrapperBase

import mediasvc.metrics.named
from mediasvc.config.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("mediasvc:")}
DOCKERFILES = ("Dockerfile", "deploy/caddy.Dockerfile", "deploy/seaweedfs.Dockerfile")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = shutil.which(program, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert path is not None, f"{program} is not installed"
    return subprocess.run(
        [path, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_compose_file_fits_the_compose_specification() -> None:
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfile_is_pinned_ends_as_a_plain_user_and_has_no_finding_of_its_linter(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")

    done = run("hadolint", "--no-color", name)

    assert (done.returncode, done.stdout) == (0, "")
    assert all(re.search(r":v?\d+\.\d+", base) for base in re.findall(r"^FROM (\S+)", text, re.MULTILINE))
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE)[-1] == "10001:10001"


def test_caddy_accepts_the_front_of_the_single_node_form() -> None:
    done = run("caddy", "validate", "--config", "deploy/Caddyfile", "--adapter", "caddyfile")

    assert done.returncode == 0, done.stderr


def test_the_cluster_form_has_two_replicas_workers_both_stores_and_a_front() -> None:
    cluster = {name: service for name, service in SERVICES.items() if "cluster" in service["profiles"]}
    commands = [
        service["command"][0] for service in cluster.values() if service["image"].startswith("mediasvc:")
    ]

    assert commands.count("serve") >= 2
    assert commands.count("worker") >= 1
    assert {"front", "valkey", "seaweedfs"} <= set(cluster)


def test_the_single_node_form_needs_no_other_store() -> None:
    single = {name for name, service in SERVICES.items() if "single" in service["profiles"]}

    assert single == {"single", "single-front"}
    assert not any("_URL_FILE" in name for name in SERVICES["single"]["environment"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_hardened_bounded_and_watched(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not re.match(r"(?:0|root)\b", service["user"])
    assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert name == "batch" or service.get("healthcheck") or name in OURS
    assert re.search(r":v?\d+\.\d+(?:\.\d+)?(?:-alpine)?$", service["image"]), "pinned by version"


@pytest.mark.parametrize("name", SERVICES)
def test_every_volume_secret_and_network_of_a_service_is_declared(name: str) -> None:
    service = SERVICES[name]
    named = [volume.partition(":")[0] for volume in service.get("volumes", ()) if volume[0] not in "./$"]

    assert set(named) <= set(COMPOSE["volumes"])
    assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert set(service.get("depends_on", ())) <= set(SERVICES)


@pytest.mark.parametrize("name", OURS)
def test_what_is_kept_outlives_the_container_and_does_not_fill_its_memory(name: str) -> None:
    service = OURS[name]
    folder = Path(service["environment"].get("MEDIASVC_DATA_DIR", "/var/lib/mediasvc"))
    mounted = {Path(volume.rpartition(":")[2]) for volume in service["volumes"]}

    assert mounted & {folder, *folder.parents}
    assert folder not in {Path(place.partition(":")[0]) for place in service["tmpfs"]}


@pytest.mark.parametrize("name", OURS)
def test_every_setting_in_the_compose_file_exists_and_no_secret_stands_in_it(name: str) -> None:
    environment: dict[str, str] = OURS[name]["environment"]
    secret = {"SIGNING_KEYS", "API_TOKEN", "INDEX_URL", "QUEUE_URL"}

    for variable, value in environment.items():
        if variable.startswith(PREFIX):
            setting = variable.removeprefix(PREFIX)
            assert setting.removesuffix("_FILE").lower() in {one.name for one in fields(Settings)}
            assert setting not in secret
        if variable.endswith("_FILE"):
            assert value.removeprefix("/run/secrets/") in OURS[name]["secrets"]
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & set(environment)


@pytest.mark.parametrize("name", OURS)
def test_a_container_gets_only_the_secrets_that_it_uses(name: str) -> None:
    service = OURS[name]
    named = {
        value.removeprefix("/run/secrets/")
        for variable, value in service["environment"].items()
        if variable.endswith("_FILE")
    }

    assert set(service["secrets"]) == named
    assert bool(named & {"signing_keys", "api_token"}) is (service["command"] == ["serve"])
    assert ("queue_url" in named) is (service["command"] != ["serve"])


def test_only_the_fronts_publish_ports_and_the_stores_cannot_reach_out() -> None:
    published = {name for name, service in SERVICES.items() if "ports" in service}

    assert published == {"front", "single-front"}
    assert COMPOSE["networks"]["back"]["internal"] is True
    assert set(SERVICES["valkey"]["networks"]) == set(SERVICES["seaweedfs"]["networks"]) == {"back"}


def test_no_container_can_be_given_an_address_that_is_fixed_for_another() -> None:
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    (pool,) = yaml.safe_load(text)["networks"]["front"]["ipam"]["config"]
    networks = [service["networks"] for service in yaml.safe_load(text)["services"].values()]
    fixed = [
        named["front"]["ipv4_address"] for named in networks if isinstance(named, dict) and named.get("front")
    ]
    taken = [ip_address(one) for one in (*fixed, pool["gateway"])]

    assert len(fixed) == 3
    assert len(set(taken)) == len(taken)
    assert all(one in ip_network(pool["subnet"]) for one in taken)
    assert not any(one in ip_network(pool["ip_range"]) for one in taken)
    assert IPv4Network(pool["ip_range"]).subnet_of(IPv4Network(pool["subnet"]))


def test_every_mounted_file_of_the_repository_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            if volume.startswith("./"):
                assert (ROOT / volume.partition(":")[0]).is_file(), volume


def test_make_secrets_makes_every_secret_once_and_keeps_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    script = str(ROOT / "deploy" / "make-secrets")

    run("sh", script, str(folder))
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    run("sh", script, str(folder))

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert set(first) == {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert len(bytes.fromhex(first["signing_keys"].decode())) == 32
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_KEY"])
def test_the_entrypoint_reads_the_object_stores_keys_from_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "key").write_text("from-a-file\n", encoding="utf-8")
    program = tmp_path / "mediasvc"
    program.write_text(f'#!/bin/sh\necho "${name} ${{{name}_FILE-unset}} $*"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        f"{name}_FILE": str(tmp_path / "key"),
    }

    done = subprocess.run(
        [ROOT / "deploy" / "entrypoint", "serve", "--port", "1"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "from-a-file unset serve --port 1\n"


def test_the_image_pins_a_version_of_every_dependency_that_fits_pyproject() -> None:
    text = (ROOT / "deploy" / "constraints.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==(\S+)(.*(?:\n    .*)*)", text, re.MULTILINE)
    pinned = {canonicalize_name(name): version for name, version, _ in pins}
    assert [name for name, _, rest in pins if "--hash=sha256:" not in rest] == []
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["standard"], *extras["heif"]]

    unpinned = [
        text
        for text, requirement in ((text, Requirement(text)) for text in wanted)
        if pinned.get(canonicalize_name(requirement.name)) is None
        or not requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])
    ]

    assert unpinned == [], "run: make pin"


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_that_is_built_has_the_tag_of_what_it_is_built_from(name: str) -> None:
    build = SERVICES[name].get("build")

    if build is not None and "dockerfile" in build:
        text = (ROOT / build["context"] / build["dockerfile"]).read_text(encoding="utf-8")
        tag = SERVICES[name]["image"].rpartition(":")[2]
        assert re.search(rf"^FROM \S+:{re.escape(tag)}(?:-alpine)?$", text, re.MULTILINE)


def test_every_dependency_has_its_reason_on_record() -> None:
    record = (ROOT / "docs/decisions/0008-dependencies.md").read_text(encoding="utf-8")
    told = {
        canonicalize_name(word)
        for cells in re.findall(r"^\| ([^|]+) \|", record, re.MULTILINE)
        for word in re.findall(r"[A-Za-z][\w.-]*", cells)
    }
    extras = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
    wanted = {canonicalize_name(Requirement(text).name) for text in (*PROJECT["dependencies"], *extras)}

    assert wanted - told == set()
    assert told - wanted <= {"dependency", "heif", "otel", "standard"}


def test_the_compose_file_builds_the_version_that_pyproject_names() -> None:
    assert {service["image"] for service in OURS.values()} == {f"mediasvc:{PROJECT['version']}"}


def test_the_image_has_the_labels_of_the_open_container_initiative() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', dockerfile))

    assert labels["version"] == PROJECT["version"]
    assert labels["licenses"] == PROJECT["license"]
    assert labels["vendor"] == PROJECT["authors"][0]["name"]
    assert labels["source"] == labels["url"] == PROJECT["urls"]["Homepage"]


def test_no_step_of_the_image_depends_on_one_architecture() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    assert re.findall(r"x86|amd64|aarch64|arm64|--platform", re.sub(r"(?m)^#.*", "", text)) == []


def test_the_dockerfile_copies_only_what_the_dockerignore_lets_through() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied: set[str] = set()
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY") and "--from" not in line:
            copied |= {word for word in line.split()[1:-1] if not word.startswith("--")}

    assert copied == allowed


def test_alerts_speak_of_metrics_that_exist() -> None:
    alerts = (ROOT / "deploy" / "alerts.yml").read_text(encoding="utf-8")
    known = {
        family.name
        for metric in vars(mediasvc.metrics.named).values()
        if isinstance(metric, MetricWrapperBase)
        for family in metric.describe()
    }

    named = set(re.findall(r"\bmediasvc_[a-z_]+", alerts))

    assert {re.sub(r"_(?:total|bucket|sum|count)$", "", name) for name in named} <= known
