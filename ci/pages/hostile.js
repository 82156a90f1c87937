// A service that refuses every request with the text of its argument. Prints its port. Started by ci/pages.sh.
'use strict'
const http = require('node:http')

const text = process.argv[2]
const server = http.createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    response.writeHead(500, { 'Content-Type': 'text/html' })
    response.end(text)
  })
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
