//! `CNI_ARGS`, resolv.conf and address files.

use causeway_host_local::resolv;
use causeway_host_local::store::Holder;
use proptest::prelude::*;

fn word() -> impl Strategy<Value = String> {
    "[a-z0-9.:]{1,9}"
}

proptest! {
    #![proptest_config(super::cases(4096))]

    #[test]
    fn arguments_agree_with_the_oracle(text in prop_oneof![
        "((IP|MAC|IgnoreUnknown|K8S_POD_NAME|K8S_POD_NAMESPACE|FOO)(=|==)?(1|true|0|x|a=b)?;?){0,6}",
        "[A-Za-z=;]{0,20}",
        any::<String>(),
    ]) {
        invariants::cni_args(text.as_bytes());
    }

    #[test]
    fn a_resolv_conf_is_read_as_written(
        servers in prop::collection::vec(word(), 0..4), domain in prop::option::of(word()),
        search in prop::collection::vec(word(), 0..4), options in prop::collection::vec(word(), 0..4),
        space in prop::sample::select(&[" ", "\t", "  \t "][..]), end in prop::sample::select(&["\n", "\r\n"][..]),
        noise in prop::sample::select(&["", "# nameserver 9.9.9.9", "; x", "sortlist 1.2.3.4", "nameserver", "\u{e9}"][..]),
    ) {
        let mut text = format!("{noise}{end}");
        servers.iter().for_each(|server| text += &format!("nameserver{space}{server}{end}{noise}{end}"));
        domain.iter().for_each(|domain| text += &format!("domain{space}{domain}{space}# said{end}"));
        search.iter().for_each(|word| text += &format!("search{space}{word}{end}"));
        text += &format!("options{space}{}", options.join(space));
        let dns = resolv::parse(&text);
        prop_assert_eq!(dns.nameservers, servers);
        prop_assert_eq!(dns.domain, domain.unwrap_or_default());
        prop_assert_eq!((dns.search, dns.options), (search, options));
    }

    #[test]
    fn any_text_is_a_resolv_conf(data in prop_oneof![
        "((nameserver|search|options|domain|#|;)[ \ta-z0-9.#;]{0,12}\r?\n?){0,8}".prop_map(String::into_bytes),
        any::<Vec<u8>>(),
    ]) {
        invariants::resolv_conf(&data);
    }

    #[test]
    fn a_lease_is_read_as_written(id in "[a-zA-Z0-9][a-zA-Z0-9_.\\-]{0,70}", ifname in "[a-z0-9@_\\-]{1,15}") {
        let (id, ifname) = (id.parse().unwrap(), ifname.parse().unwrap());
        let content = Holder::content(&id, &ifname);
        prop_assert_eq!(Holder::parse(content.as_bytes()), Holder::Attachment(id.clone(), ifname));
        // Cut short anywhere it is nobody's, or (where a name happens to be whole) somebody's with that
        // beginning; never unreadable.
        for length in 0..content.len() {
            match Holder::parse(&content.as_bytes()[..length]) {
                Holder::Unknown => prop_assert!(false, "{:?}", &content[..length]),
                Holder::Nobody => prop_assert_eq!(length, 0),
                holder => prop_assert!(content.starts_with(holder.name())),
            }
        }
    }

    #[test]
    fn any_bytes_are_a_lease_of_somebody_or_nobody(data in prop_oneof![
        "[a-z0-9/. ]{0,5}(\r|\n|\r\n|\u{0}){0,3}[a-z0-9/ ]{0,5}\u{0}{0,2}".prop_map(String::into_bytes),
        any::<Vec<u8>>(),
    ]) {
        invariants::lease(&data);
    }
}

proptest! {
    #![proptest_config(super::cases(64))]

    /// Files, places and bytes: the header of the cache most of all.
    #[test]
    fn a_pool_gives_nothing_twice_whatever_its_files_say(
        changes in prop::collection::vec((any::<u8>(), prop_oneof![0_u16..80, any::<u16>()], any::<u8>()), 0..40)
    ) {
        let data: Vec<u8> = changes
            .into_iter()
            .flat_map(|(file, place, byte)| [file, place.to_le_bytes()[0], place.to_le_bytes()[1], byte])
            .collect();
        invariants::pool(&data);
    }
}
