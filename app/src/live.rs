//! Live updates: one event source per page that is shown. When something changed that the page is about, the browser asks the server
//! for the page again and takes over its live regions, so that pages are written once, for the server.
//!
//! ```ignore
//! <LiveIndicator topics="delivery"/>
//! <div id="deliveries" data-live-region>…</div>
//! ```
//!
//! A live region needs an id and must hold no island, since what is taken over is plain HTML. Only what differs is changed: the focus,
//! selected text, what is scrolled and what is open stay. Where people choose and type, nothing may change under their hands: such a part
//! goes into [`LeftAlone`](crate::components::LeftAlone), which tells them when it is out of date.

/// Whether the page hears of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Not yet answered.
    Opening,
    Open,
    /// Broken off at this time, in milliseconds since 1970, or the page could not be fetched then. It is tried again without end.
    Lost {
        at_millis: i64,
    },
    /// The session has ended. Signing in at `href` leads back here.
    SignedOut {
        href: String,
    },
}

#[cfg(feature = "hydrate")]
mod follow;
#[cfg(feature = "hydrate")]
mod morph;
#[cfg(feature = "hydrate")]
mod page;

#[cfg(feature = "hydrate")]
pub use follow::follow;
