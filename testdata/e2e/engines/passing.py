# SPDX-License-Identifier: Apache-2.0
"""passing.py SOCKET COUNT [CERT KEY]: passes TCP connections, with TLS if there is a certificate, on to a unix socket; writes its port to
stdout, and after each connection the bytes that clients have sent so far to COUNT."""
import asyncio
import pathlib
import ssl
import sys

target, count, *pair = sys.argv[1:]
total = 0


async def pipe(reader, writer, counted):
    global total
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
        if counted:
            total += len(data)
            pathlib.Path(count).write_text(str(total))
    writer.close()


async def serve(reader, writer):
    far = await asyncio.open_unix_connection(target)
    await asyncio.gather(pipe(reader, far[1], True), pipe(far[0], writer, False), return_exceptions=True)


async def main():
    context = None
    if pair:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*pair)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
