#![allow(dead_code)]
mod identity_center;
mod sandbox;
mod terminal;

mod commands;
mod exec;
mod hook;
mod layering;
mod status;
mod trust;
