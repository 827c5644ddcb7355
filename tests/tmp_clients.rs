#![allow(dead_code)]
mod identity_center;
mod sandbox;
mod terminal;

mod clients;
mod tls;
