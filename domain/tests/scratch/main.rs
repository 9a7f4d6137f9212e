#![allow(dead_code, unused_imports)]
use domain::{ClickId, SessionId};
mod attribution;
mod multitouch;
