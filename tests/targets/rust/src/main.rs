// SPDX-License-Identifier: Apache-2.0
//! Fragments its heap twice, once by Rust's allocator and once by C's malloc, and then waits for its input to end:
//! `rustleak [threads]`. Every second block is kept, so that only a purge gives the others' pages back.
use std::ffi::c_void;
use std::io::{Read, Write};

#[cfg(any(feature = "jemalloc", feature = "jemalloc-unprefixed"))]
#[global_allocator]
static GLOBAL: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "tcmalloc")]
#[global_allocator]
static GLOBAL: tcmalloc_better::TCMalloc = tcmalloc_better::TCMalloc;

extern "C" {
    fn malloc(n: usize) -> *mut c_void;
    fn free(p: *mut c_void);
}

const BLOCKS: usize = 2048;
const BLOCK: usize = 16 << 10;

/// 32 MiB in blocks of 16 KiB, each followed by a small one that lives.
fn fragment_rust() -> Vec<Box<[u8; 64]>> {
    let mut kept = Vec::new();
    let mut holes: Vec<Vec<u8>> = Vec::new();
    for i in 0..BLOCKS {
        holes.push(vec![i as u8; BLOCK]);
        kept.push(Box::new([i as u8; 64]));
    }
    kept
}

fn fragment_c() -> Vec<usize> {
    let (mut kept, mut holes) = (Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        unsafe {
            let hole = malloc(BLOCK);
            std::ptr::write_bytes(hole as *mut u8, 7, BLOCK);
            holes.push(hole);
            kept.push(malloc(64) as usize);
        }
    }
    holes.into_iter().for_each(|p| unsafe { free(p) });
    kept
}

fn main() {
    let threads: usize = std::env::args().nth(1).map_or(0, |s| s.parse().expect("a number of threads"));
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let receiver = std::sync::Arc::new(std::sync::Mutex::new(receiver));
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let receiver = receiver.clone();
            std::thread::spawn(move || {
                let kept = fragment_rust();
                let _ = receiver.lock().unwrap().recv();
                kept.len()
            })
        })
        .collect();
    let (rust, c) = (fragment_rust(), fragment_c());
    println!("ready rustleak");
    std::io::stdout().flush().unwrap();
    let mut rest = String::new();
    std::io::stdin().read_to_string(&mut rest).unwrap();
    drop(sender);
    let n: usize = workers.into_iter().map(|w| w.join().unwrap()).sum();
    assert!(rust.iter().enumerate().all(|(i, b)| b[..] == [i as u8; 64]));
    println!("ok {} {} {}", n, rust.len(), c.len());
}
