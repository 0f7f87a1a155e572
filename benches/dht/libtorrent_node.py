"""One DHT node of libtorrent: an address to listen on, a way in, and then a line for each announce.

Says `ready` once its table has nodes, and for how many it has."""
import sys
import time

import libtorrent as lt

own, way_in = sys.argv[1], sys.argv[2]
session = lt.session({
    'listen_interfaces': own,
    'outgoing_interfaces': own.split(':')[0],
    'enable_dht': True, 'enable_lsd': False, 'enable_upnp': False, 'enable_natpmp': False,
    'dht_bootstrap_nodes': way_in,
    # All nodes are on loopback here, and many datagrams come from one place.
    'dht_restrict_routing_ips': False, 'dht_restrict_search_ips': False,
    'dht_ignore_dark_internet': False, 'dht_block_ratelimit': 1000, 'dht_enforce_node_id': False,
    'dht_prefer_verified_node_ids': False,
    'alert_mask': lt.alert.category_t.dht_notification | lt.alert.category_t.error_notification,
})
end, bootstrapped = time.monotonic() + 60, None
while time.monotonic() < end:
    for alert in session.pop_alerts():
        if isinstance(alert, lt.dht_bootstrap_alert):
            bootstrapped = time.monotonic()
    # Its refreshes go on for a moment.
    if bootstrapped and time.monotonic() > bootstrapped + 1:
        break
    time.sleep(0.02)
print('ready', session.status().dht_nodes, flush=True)
for line in sys.stdin:
    session.dht_announce(lt.sha1_hash(bytes.fromhex(line.strip())), 6881, 0)
