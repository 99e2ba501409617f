"""Prints PONG if Valkey answers, as `valkey-cli ping` does: `valkey_ping PORT ...`, password in
REDISCLI_AUTH.
"""

import os
import sys

import redis

if __name__ == "__main__":
    client = redis.Redis("127.0.0.1", int(sys.argv[1]), password=os.environ["REDISCLI_AUTH"])
    print("PONG" if client.ping() else "")
