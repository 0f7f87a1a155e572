"""A DHT of libtorrent's nodes that know each other: a family (4 or 6), how many, and an info hash.

Says `ready` once each knows most of the others, and `announced` once somebody has the torrent.
Node 1 is at 10.9.0.11 or at fd00::b, and so on."""
import sys
import time

import libtorrent as lt

family, count, wanted = sys.argv[1], int(sys.argv[2]), lt.sha1_hash(bytes.fromhex(sys.argv[3]))
hosts = ['10.9.0.%d' % n if family == '4' else 'fd00::%x' % n for n in range(11, 11 + count)]


def node(host):
    return lt.session({
        'listen_interfaces': ('%s:6881' if family == '4' else '[%s]:6881') % host,
        'outgoing_interfaces': host,
        'enable_dht': True, 'enable_lsd': False, 'enable_upnp': False, 'enable_natpmp': False,
        'dht_bootstrap_nodes': '', 'dht_restrict_routing_ips': False,
        'dht_restrict_search_ips': False, 'dht_ignore_dark_internet': False,
        'dht_block_ratelimit': 1000, 'dht_enforce_node_id': False,
        'dht_prefer_verified_node_ids': False,
        'alert_mask': lt.alert.category_t.dht_operation_notification,
    })


nodes = [node(host) for host in hosts]
for session in nodes:
    for host in hosts:
        session.add_dht_node((host, 6881))
while min(session.status().dht_nodes for session in nodes) < min(count - 1, 7):
    time.sleep(0.1)
print('ready', flush=True)
said = False
while True:
    if not said:
        nodes[0].dht_get_peers(wanted)
    time.sleep(0.5)
    for alert in nodes[0].pop_alerts():
        if isinstance(alert, lt.dht_get_peers_reply_alert) and alert.num_peers() and not said:
            print('announced', flush=True)
            said = True
