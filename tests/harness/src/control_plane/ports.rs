//! Free loopback ports outside the kernel's range for outgoing connections, so that the port of a stopped API server is
//! still free when it is restarted.

use std::net::{Ipv4Addr, TcpListener};

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::error::{Error, Result};

const FIRST_PORT: u16 = 20_000;
const PORT_COUNT: u16 = 10_000;

pub(super) fn find_free_port() -> Result<u16> {
    let random = SystemRandom::new();
    for _ in 0..100 {
        let mut bytes = [0; 2];
        random.fill(&mut bytes).map_err(|_| Error::new("cannot read random bytes"))?;
        let port = FIRST_PORT + u16::from_be_bytes(bytes) % PORT_COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::new("no free port on 127.0.0.1 between 20000 and 30000 in 100 attempts"))
}
