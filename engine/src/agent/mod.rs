//! What kind of program a user agent is.
//!
//! `crawlers.txt` is a well-kept public list; to renew it, take the patterns of a newer release and its version line.

use std::sync::LazyLock;

use domain::click::AgentClass;
use moka::sync::Cache;
use regex::{RegexSet, RegexSetBuilder};

static CRAWLERS: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = include_str!("crawlers.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    // link checkers and headless browsers that the list leaves out
    let own = ["HeadlessChrome", "PhantomJS", "Lighthouse", "^$"];
    RegexSetBuilder::new(patterns.chain(own)).size_limit(256 << 20).build().expect("the list's patterns compile: a test says so")
});

/// Visitors share few user agents, so that most are looked up once.
static SEEN: LazyLock<Cache<String, AgentClass>> = LazyLock::new(|| Cache::new(10_000));

/// Longer user agents are no browser's.
const LENGTH_MAX: usize = 1024;

/// Classifies a user agent header; an absent one is a bot's.
pub fn classify(user_agent: Option<&str>) -> AgentClass {
    let user_agent = user_agent.unwrap_or_default();
    if user_agent.len() > LENGTH_MAX {
        return AgentClass::Bot;
    }
    if let Some(class) = SEEN.get(user_agent) {
        return class;
    }
    let class = if CRAWLERS.is_match(user_agent) {
        AgentClass::Bot
    } else if ["Mobi", "Android", "iPhone", "iPad"].iter().any(|word| user_agent.contains(word)) {
        AgentClass::Mobile
    } else if user_agent.contains("Mozilla/") {
        AgentClass::Desktop
    } else {
        AgentClass::Unknown
    };
    SEEN.insert(user_agent.to_owned(), class);
    class
}

/// Compiles the patterns ahead of the first visitor.
pub fn warm_up() {
    LazyLock::force(&CRAWLERS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crawlers_previews_and_libraries_are_bots() {
        for bot in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "curl/8.5.0",
            "python-requests/2.32.0",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/130.0.0.0 Safari/537.36",
        ] {
            assert_eq!(classify(Some(bot)), AgentClass::Bot, "{bot}");
        }
        assert_eq!(classify(None), AgentClass::Bot);
        assert_eq!(classify(Some(&"x".repeat(2000))), AgentClass::Bot);
    }

    #[test]
    fn browsers_are_people() {
        let desktop =
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";
        assert_eq!((classify(Some(desktop)), classify(Some(phone))), (AgentClass::Desktop, AgentClass::Mobile));
    }
}
