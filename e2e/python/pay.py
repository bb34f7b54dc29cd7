"""A Python program that buys a page with the PyPI package x402: the URL is its argument, the payer's key comes on stdin.

Prints what came back as JSON.
"""

import asyncio
import json
import sys

from eth_account import Account
from x402 import x402Client
from x402.http.clients.httpx import x402HttpxClient
from x402.mechanisms.evm.exact.register import register_exact_evm_client


async def buy(url: str, key: str) -> dict:
    client = register_exact_evm_client(x402Client(), Account.from_key(key))
    async with x402HttpxClient(client) as http:
        response = await http.get(url)
        await response.aread()
    return {"status": response.status_code, "body": response.text, "headers": dict(response.headers)}


print(json.dumps(asyncio.run(buy(sys.argv[1], sys.stdin.read().strip()))))
