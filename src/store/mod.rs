//! Files, synchronously: the AWS CLI's config and caches, our own trust records, locks and settings.

pub(crate) mod aws_cache;
pub(crate) mod aws_config;
pub(crate) mod dotfiles;
pub(crate) mod files;
pub(crate) mod generation;
pub(crate) mod locks;
pub(crate) mod profile_records;
pub(crate) mod profiles;
pub(crate) mod setbacks;
pub(crate) mod settings;
pub(crate) mod sources;
pub(crate) mod stand_ins;
pub(crate) mod trust;
