# SPDX-License-Identifier: Apache-2.0
"""tls.py REGISTRY CERT KEY: passes TLS connections on to a registry; prints its own address."""
import asyncio
import ssl
import sys

registry, certificate, key = sys.argv[1:]
host, port = registry.split(":")


async def pipe(reader, writer):
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def serve(reader, writer):
    try:
        far = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pipe(reader, far[1]), pipe(far[0], writer))
    except OSError:
        writer.close()


async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
