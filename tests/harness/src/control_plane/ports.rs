//! ports — a free loopback port, outside the range from which the kernel takes ports for outgoing
//! connections: a stopped API server finds its own port still free when it is started again.

use std::net::{Ipv4Addr, TcpListener};

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::error::{Error, Result};

const FIRST_PORT: u16 = 20_000;
const PORT_COUNT: u16 = 10_000;

pub(super) fn find_free_port() -> Result<u16> {
    let random = SystemRandom::new();
    for _ in 0..100 {
        let mut bytes = [0; 2];
        random.fill(&mut bytes).map_err(|_| Error::new("no random numbers"))?;
        let port = FIRST_PORT + u16::from_be_bytes(bytes) % PORT_COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::new("a hundred ports of 127.0.0.1 between 20000 and 30000 are all in use"))
}
