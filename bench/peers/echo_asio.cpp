// SPDX-License-Identifier: MIT
// echo: a server on descriptor 3. See bench/echo.c. Callbacks, one thread, a
// context that knows of it.
#include <boost/asio.hpp>
#include <memory>

using boost::asio::ip::tcp;
using error = boost::system::error_code;

struct session : std::enable_shared_from_this<session> {
    explicit session(tcp::socket s) : socket(std::move(s)) {}

    void receive()
    {
        auto self = shared_from_this();
        socket.async_read_some(boost::asio::buffer(buffer),
                               [this, self](error failed, std::size_t n) {
                                   if (!failed)
                                       send(n);
                               });
    }

    void send(std::size_t n)
    {
        auto self = shared_from_this();
        boost::asio::async_write(socket, boost::asio::buffer(buffer, n),
                                 [this, self](error failed, std::size_t) {
                                     if (!failed)
                                         receive();
                                 });
    }

    tcp::socket socket;
    char buffer[4096];
};

static void accept(tcp::acceptor &server)
{
    server.async_accept([&server](error failed, tcp::socket socket) {
        if (!failed)
            std::make_shared<session>(std::move(socket))->receive();
        accept(server);
    });
}

int main()
{
    boost::asio::io_context context(1);
    tcp::acceptor server(context, tcp::v4(), 3);
    accept(server);
    context.run();
}
