//! The form of a result, by the text alone. Pure.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::checks::result::{list, text};
use crate::reply::{Verdict, require};
use crate::spec::Spec;

/// The rule is broken unless lists, objects, texts and numbers stand where they should.
pub(crate) fn judge(result: &Map<String, Value>, spec: Spec) -> Verdict {
    for key in ["interfaces", "ips", "routes"] {
        let value = result.get(key);
        let is_list = value.is_none_or(|value| value.is_array() || value.is_null());
        require(is_list, || format!("{key} is no list: {value:?}"))?;
    }
    let interfaces = list(result, "interfaces");
    interfaces.iter().try_for_each(|one| interface(one, spec))?;
    list(result, "ips").iter().try_for_each(|one| ip(one, interfaces.len(), spec))?;
    list(result, "routes").iter().try_for_each(|one| route(one, spec))?;
    dns(result.get("dns").unwrap_or(&Value::Null))
}

/// A key that may be left out.
fn is_none_or(value: &Value, key: &str, holds: impl Fn(&Value) -> bool) -> bool {
    value.get(key).is_none_or(|value| value.is_null() || holds(value))
}

fn interface(interface: &Value, spec: Spec) -> Verdict {
    let shown = || format!("interface: {interface}");
    require(!text(interface, "name").is_empty(), shown)?;
    if spec < Spec::V1_1_0 {
        return Ok(());
    }
    let is_path =
        |value: &Value| value.as_str().is_some_and(|path| path.is_empty() || path.starts_with('/'));
    let is_formed = is_none_or(interface, "mtu", Value::is_u64)
        && is_none_or(interface, "socketPath", is_path)
        && is_none_or(interface, "pciID", Value::is_string);
    require(is_formed, shown)
}

fn ip(ip: &Value, interfaces: usize, spec: Spec) -> Verdict {
    let (address, gateway) = (text(ip, "address"), text(ip, "gateway"));
    require(is_cidr(address), || format!("address {address:?}: {ip}"))?;
    let is_gateway = gateway.is_empty() || gateway.parse::<IpAddr>().is_ok();
    require(is_gateway, || format!("gateway {gateway:?}: {ip}"))?;
    if let Some(index) = ip.get("interface") {
        let is_index = index.as_u64().is_some_and(|index| index < interfaces as u64);
        require(is_index, || format!("interface {index} of {interfaces}: {ip}"))?;
    }
    if spec == Spec::V0_4_0 {
        let family = if address.contains(':') { "6" } else { "4" };
        let is_family = text(ip, "version") == family && is_same_family(address, gateway);
        require(is_family, || format!("not all of it is of version {family:?}: {ip}"))?;
    }
    Ok(())
}

fn route(route: &Value, spec: Spec) -> Verdict {
    let (dst, gateway) = (text(route, "dst"), text(route, "gw"));
    let is_gateway = gateway.is_empty() || gateway.parse::<IpAddr>().is_ok();
    // Later versions do not say that both are of one family, nor does the kernel.
    let is_family = spec != Spec::V0_4_0 || is_same_family(dst, gateway);
    let is_number = |key: &&str| is_none_or(route, key, Value::is_u64);
    let are_numbers = spec < Spec::V1_1_0
        || ["mtu", "advmss", "priority", "table", "scope"].iter().all(is_number);
    let is_route = is_cidr(dst) && is_gateway && is_family && are_numbers;
    require(is_route, || format!("route: {route}"))
}

fn dns(dns: &Value) -> Verdict {
    let shown = || format!("dns: {dns}");
    require(dns.is_object() || dns.is_null(), shown)?;
    let is_list = |holds: fn(&str) -> bool| {
        move |value: &Value| {
            let list = value.as_array();
            list.is_some_and(|list| list.iter().all(|one| one.as_str().is_some_and(holds)))
        }
    };
    let is_formed = is_none_or(dns, "nameservers", is_list(|one| one.parse::<IpAddr>().is_ok()))
        && is_none_or(dns, "domain", Value::is_string)
        && is_none_or(dns, "search", is_list(|_| true))
        && is_none_or(dns, "options", is_list(|_| true));
    require(is_formed, shown)
}

fn is_same_family(address: &str, gateway: &str) -> bool {
    gateway.is_empty() || gateway.contains(':') == address.contains(':')
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_formed(result: &Value, spec: Spec) -> bool {
        judge(result.as_object().unwrap(), spec).is_ok()
    }

    #[test]
    fn a_gateway_of_the_other_family_is_wrong_in_0_4_0_alone() {
        let result = json!({"routes": [{"dst": "0.0.0.0/0", "gw": "fe80::1"}]});
        assert!(!is_formed(&result, Spec::V0_4_0));
        assert!(is_formed(&result, Spec::V1_0_0));
    }

    #[test]
    fn keys_of_1_1_0_have_no_form_before() {
        for result in [
            json!({"interfaces": [{"name": "eth0", "mtu": "1500"}]}),
            json!({"interfaces": [{"name": "eth0", "pciID": 7}]}),
            json!({"routes": [{"dst": "::/0", "table": "main"}]}),
        ] {
            assert!(is_formed(&result, Spec::V1_0_0), "{result}");
            assert!(!is_formed(&result, Spec::V1_1_0), "{result}");
        }
    }

    #[test]
    fn dns_is_made_of_texts_and_addresses() {
        for dns in
            [json!("192.0.2.53"), json!({"nameservers": "192.0.2.53"}), json!({"search": [7]})]
        {
            assert!(!is_formed(&json!({"dns": dns}), Spec::V1_1_0), "{dns}");
        }
        let whole = json!({"dns": {"nameservers": ["2001:db8::53"], "domain": "a", "search": ["b"],
            "options": ["ndots:5"]}});
        assert!(is_formed(&whole, Spec::V1_1_0));
    }
}
