// As drive.py, with docs/clients/rotating-pg.cjs.
'use strict'

const {readFileSync} = require('node:fs')
const {createInterface} = require('node:readline')
const {RotatingPool} = require(`${process.env.CLIENTS}/rotating-pg.cjs`)

const settings = {ssl: {ca: readFileSync(process.env.PGSSLROOTCERT)}}

async function main() {
  const database = new RotatingPool(process.env.TURNKEEP_SECRET, settings)
  const old = await database.connect()
  const tell = async (client) => {
    const {rows} = await client.query('SELECT current_user AS user')
    console.log(JSON.stringify({user: rows[0].user, stage: database.stage}))
  }
  for await (const line of createInterface({input: process.stdin})) {
    if (line === 'old') {
      await tell(old)
    } else {
      // Destroyed afterwards, so that each line opens a connection anew.
      const client = await database.connect()
      await tell(client)
      client.release(true)
    }
  }
  old.release(true)
  await database.end()
}

main()
