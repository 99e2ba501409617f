"""The engines in use, for people: with versions, and with what is wrong."""

from importlib import metadata

from mediasvc.effects.imaging.probe import engines_in_use


def describe_engines() -> dict[str, str]:
    """For each kind of work the library that does it, its version, and why it is not a faster one that is
    installed.

    Starts a process, which loads the libraries.
    """
    return {
        kind: _with_version(name) + ("" if trouble is None else f" ({trouble})")
        for kind, (name, trouble) in sorted(engines_in_use().items())
    }


def _with_version(name: str) -> str:
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:  # the standard library
        return name
