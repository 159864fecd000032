# SPDX-License-Identifier: MIT
# stream_asyncio receive|send SIZE: a server on descriptor 3 of one connection.
# See bench/streams.c. asyncio's streams; as stream_uvloop on that loop.
import asyncio
import socket
import sys

if sys.argv[0].endswith("uvloop"):
    import uvloop
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

SIZE = int(sys.argv[2])


async def receive(reader, writer):
    total = 0
    while data := await reader.read(SIZE):
        total += len(data)
    writer.write(total.to_bytes(8, sys.byteorder))
    await writer.drain()


async def send(reader, writer):
    messages = int.from_bytes(await reader.readexactly(8), sys.byteorder)
    data = bytes(SIZE)
    for _ in range(messages):
        writer.write(data)
        await writer.drain()


async def main():
    handler = receive if sys.argv[1] == "receive" else send
    server = await asyncio.start_server(handler, sock=socket.socket(fileno=3))
    await server.serve_forever()


asyncio.run(main())
