// SPDX-License-Identifier: Apache-2.0
// A thread a connection; every request takes and frees memory. With the feature "jemalloc" by a global allocator of its
// own (symbols _rjem_…), while what libc allocates stays glibc's.
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static GLOBAL: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

fn churn(seed: &mut u64) {
    let mut next = |bound: u64| {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        (*seed % bound) as usize
    };
    let mut kept = KEPT.lock().unwrap();
    for _ in 0..30 {
        let i = next(2000);
        if kept.len() <= i {
            kept.resize(i + 1, Vec::new());
        }
        kept[i] = vec![1; next(20000)];
    }
}

fn serve(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    let (mut count, mut seed) = (0, 88172645463325252);
    while let Some(first) = lines.next() {
        let n: usize = first?.split(' ').nth(1).and_then(|p| p[1..].parse().ok()).unwrap_or(0);
        for line in lines.by_ref() {
            if line?.is_empty() {
                break;
            }
        }
        count += 1;
        churn(&mut seed);
        let body = format!("{n} {count} plateau\n").repeat(n % 200 + 1);
        out.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.len(), body).as_bytes())?;
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("ready {}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || serve(stream));
    }
    Ok(())
}
