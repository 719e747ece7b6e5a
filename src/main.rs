//! The process of HAIA: its allocator and its end. What it does is in `program.rs`, a crate of its own: the last step of the build optimises the whole
//! program the way that this crate asks for, which is for speed, and what is in that one runs once and shall be small.

/// jemalloc gives memory back after a burst of streams, which glibc does not. It is set up in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    haia::main()
}
