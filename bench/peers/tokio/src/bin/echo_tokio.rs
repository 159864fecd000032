// SPDX-License-Identifier: MIT
// echo: a server on descriptor 3. See bench/echo.c. One thread, a task for each
// connection.
use std::os::unix::io::FromRawFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weft_bench_tokio::one_thread;

async fn serve(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(n) = stream.read(&mut buffer).await {
        if n == 0 || stream.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

async fn accept_all(listener: std::net::TcpListener) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream));
    }
}

fn main() -> std::io::Result<()> {
    let listener = unsafe { std::net::TcpListener::from_raw_fd(3) };
    one_thread().block_on(accept_all(listener))
}
