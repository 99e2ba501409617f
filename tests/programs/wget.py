"""Fetches its last argument, as the health checks of containers do with wget.

Ends with an error unless the reply is a success.
"""

import sys
import urllib.request

if __name__ == "__main__":
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[-1], timeout=5).read()
