//! UDP flows that would go on to lead where they led before.

use std::net::UdpSocket;
use std::time::Duration;

use crate::server::{ask, serve, udp_client, within};
use crate::world::{HOST, OUTSIDE, World, both};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_client_that_goes_on_reaches_the_container_that_has_the_port_now() {
    World::for_each_backend(|world| {
        let (old, new) = (world.pod("c1", 1), world.pod("c2", 1));
        serve(&old.container, 53);
        serve(&new.container, 53);
        old.map(&both(5353, 53));
        // One socket, so that all its packets are of one flow.
        let client = udp_client(Some(&world.outside), &format!("{HOST}:5353"));
        assert_eq!(within(SOON, || ask(&client)), format!("c1 {OUTSIDE}"));
        old.unmap(&both(5353, 53));
        new.map(&both(5353, 53));
        assert_eq!(within(SOON, || ask(&client)), format!("c2 {OUTSIDE}"));
    });
}

#[test]
fn a_client_that_was_there_before_the_port_was_mapped_reaches_the_container() {
    World::for_each_backend(|world| {
        let (pod, other) = (world.pod("c1", 1), world.pod("c2", 1));
        // Only a host that translates tracks connections.
        other.map(&both(9090, 80));
        serve(&pod.container, 53);
        let host = UdpSocket::bind(format!("{HOST}:5353")).unwrap();
        host.set_read_timeout(Some(SOON)).unwrap();
        let client = udp_client(Some(&world.outside), &format!("{HOST}:5353"));
        client.send(b"early").unwrap();
        host.recv(&mut [0; 16]).unwrap();
        pod.map(&both(5353, 53));
        assert_eq!(within(SOON, || ask(&client)), format!("c1 {OUTSIDE}"));
    });
}

#[test]
fn after_del_the_host_itself_has_the_clients() {
    World::for_each_backend(|world| {
        let pod = world.pod("c1", 1);
        serve(&pod.container, 53);
        pod.map(&both(5353, 53));
        let client = udp_client(Some(&world.outside), &format!("{HOST}:5353"));
        assert_eq!(within(SOON, || ask(&client)), format!("c1 {OUTSIDE}"));
        pod.unmap(&both(5353, 53));
        let host = UdpSocket::bind(format!("{HOST}:5353")).unwrap();
        host.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let heard = within(SOON, || {
            client.send(b"again").ok()?;
            host.recv(&mut [0; 16]).ok().map(|_length| "heard".to_owned())
        });
        assert_eq!(heard, "heard");
    });
}
