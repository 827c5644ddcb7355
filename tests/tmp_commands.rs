#![allow(dead_code)]
mod identity_center;
mod sandbox;
mod terminal;

mod commands;
mod exec;
mod layering;
mod trust;
