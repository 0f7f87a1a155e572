// WebTorrent, which is a library for Node; its own program has no flag that
// keeps it off the DHT and the local network. Takes the same arguments as
// make_and_join.py, and answers each line on stdin with a line of JSON in the
// same way; it ends when stdin ends.
//
//     node webtorrent.js MODULE ADDRESS:PORT OPTIONS

'use strict'

const http = require('http')
const net = require('net')
const readline = require('readline')

const [module_, address, options] = process.argv.slice(2)
const [host, port] = address.split(':')
const { folder, torrents, upload_limit: uploadLimit } = JSON.parse(options)

// It would listen everywhere, and has no option for that.
const { listen } = net.Server.prototype
net.Server.prototype.listen = function (port, ready) {
  return listen.call(this, port, host, ready)
}

// opentracker closes every connection and does not say so; Node would put its
// next request on one that is about to close.
http.globalAgent = new http.Agent({ keepAlive: false })

const WebTorrent = require(module_)

const client = new WebTorrent({
  torrentPort: Number(port),
  dht: false,
  lsd: false,
  utp: false,
  natUpnp: false,
  natPmp: false,
  webSeeds: false,
  tracker: { wrtc: false },
  uploadLimit: uploadLimit || -1
})
client.on('error', error => {
  // Also what is wrong with one torrent; that one ends, the others go on.
  console.error(error.message)
})

const joined = torrents.map(({ source }) => {
  const torrent = client.add(source, { path: folder })
  torrent.on('warning', warning => console.error(source, warning.message || warning))
  torrent.on('error', error => console.error(source, error.message))
  return torrent
})

readline.createInterface({ input: process.stdin })
  .on('line', () => {
    const alive = joined.filter(torrent => torrent.infoHash && !torrent.destroyed)
    console.log(JSON.stringify(alive.map(torrent => ({
      info_hash: torrent.infoHash,
      // Once the pieces on the disk have been looked at.
      checking: Boolean(torrent.metadata) && !torrent.ready,
      have: torrent.ready ? torrent.downloaded : 0,
      done: Boolean(torrent.done),
      uploaded: torrent.uploaded
    }))))
  })
  .on('close', () => process.exit())

// No test takes this long.
setTimeout(() => process.exit(1), 300_000).unref()
