"""mediasvc gives gathered articles local images."""

__version__ = "0.1.0"
