//! Reading a resolv.conf (resolv.conf(5)) into a result's `dns`. Pure.

use cni_common::spec::Dns;

/// What `text` says. Unknown words are skipped; of several `domain` lines the last counts, and
/// `search` and `options` lines add up, as in the reference.
pub fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines() {
        if line.starts_with(['#', ';']) {
            continue;
        }
        let mut words = line.split_whitespace();
        let Some(key) = words.next() else { continue };
        let mut values = words.take_while(|word| !word.starts_with(['#', ';'])).map(str::to_owned);
        match key {
            "nameserver" => dns.nameservers.extend(values.next()),
            "domain" => dns.domain = values.next().unwrap_or(dns.domain),
            "search" => dns.search.extend(values),
            "options" => dns.options.extend(values),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_and_both_comments_are_read() {
        let dns = parse(
            "# made by hand\n; too\nnameserver 192.0.2.1\nnameserver\t2001:db8::1  # here\n\
             domain example.net\nsearch a.example b.example\nsearch c.example\n\
             options ndots:2 rotate\noptions edns0\nsortlist 130.155.160.0\nnameserver\n\n",
        );
        assert_eq!(dns.nameservers, ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(dns.domain, "example.net");
        assert_eq!(dns.search, ["a.example", "b.example", "c.example"]);
        assert_eq!(dns.options, ["ndots:2", "rotate", "edns0"]);
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(parse("").is_empty());
        assert!(parse("#nameserver 192.0.2.1\n").is_empty());
    }
}
