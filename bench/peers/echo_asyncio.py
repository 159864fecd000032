# SPDX-License-Identifier: MIT
# echo: a server on descriptor 3. See bench/echo.c. A protocol, the fastest way
# that asyncio has; as echo_uvloop on the loop of that name.
import asyncio
import socket
import sys

if sys.argv[0].endswith("uvloop"):
    import uvloop
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, sock=socket.socket(fileno=3),
                                      backlog=4096)
    await server.serve_forever()


asyncio.run(main())
