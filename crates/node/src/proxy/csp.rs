//! Whether a page's Content-Security-Policy lets it run a script of its own site (CSP level 3).

use crate::client::Client;

/// Whether all policies of a response allow the snippet.
pub(super) fn allows_snippet<'a>(policies: impl Iterator<Item = &'a str>, client: &Client) -> bool {
    // Several policies can stand in one header, separated by commas; all of them hold.
    policies.flat_map(|header| header.split(',')).all(|policy| allows(policy, client))
}

fn allows(policy: &str, client: &Client) -> bool {
    let directive = |wanted: &str| {
        policy.split(';').find_map(|directive| {
            let mut words = directive.split_ascii_whitespace();
            words.next().filter(|name| name.eq_ignore_ascii_case(wanted)).map(|_| words.collect::<Vec<_>>())
        })
    };
    if directive("sandbox").is_some_and(|allowed| !has(&allowed, "allow-scripts")) {
        return false;
    }
    let sources = ["script-src-elem", "script-src", "default-src"].into_iter().find_map(directive);
    // With 'strict-dynamic' only nonces and hashes count.
    sources.is_none_or(|sources| {
        !has(&sources, "'strict-dynamic'") && sources.iter().any(|source| matches(source, client))
    })
}

fn has(words: &[&str], wanted: &str) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(wanted))
}

fn matches(source: &str, client: &Client) -> bool {
    let source = source.to_ascii_lowercase();
    match source.as_str() {
        "'self'" | "*" => return true,
        "http:" | "https:" => return source.trim_end_matches(':') == client.scheme,
        _ => {}
    }
    let (scheme, host) = source.split_once("://").unwrap_or((client.scheme, &source));
    let (host, path) = host.split_once('/').unwrap_or((host, ""));
    let same_host = match host.strip_prefix("*.") {
        Some(domain) => client.host().strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => host == &*client.authority || host.strip_suffix(":*") == Some(client.host()),
    };
    scheme == client.scheme && same_host && path.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snippet_goes_where_the_sites_own_scripts_may() {
        let address = "192.0.2.1".parse().unwrap();
        let client = Client { address, scheme: "https", authority: "www.example.com".into() };
        let allowed = |policy: &str| allows_snippet([policy].into_iter(), &client);
        for policy in [
            "img-src 'none'",
            "default-src 'self'",
            "default-src 'none'; script-src 'self' https://cdn.example",
            "script-src https://www.example.com",
            "script-src *.example.com",
            "script-src https:",
            "script-src 'none'; script-src-elem 'SELF'",
        ] {
            assert!(allowed(policy), "{policy}");
        }
        for policy in [
            "default-src 'none'",
            "script-src 'nonce-abc' 'strict-dynamic' 'self'",
            "script-src 'nonce-abc'",
            "script-src https://cdn.example; default-src 'self'",
            "sandbox",
            "default-src 'self', script-src 'none'",
        ] {
            assert!(!allowed(policy), "{policy}");
        }
    }
}
