#![allow(dead_code)]
mod identity_center;
mod sandbox;
mod terminal;

mod caches;
mod races;
mod sign_in;
