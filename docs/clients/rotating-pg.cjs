// PostgreSQL pools for Node.js (pg, @aws-sdk/client-secrets-manager) that no rotation refuses.
//
//   const database = new RotatingPool('my-app/database', {database: 'orders', max: 10})
//   const {rows} = await database.query('SELECT count(*) FROM orders')
//   const client = await database.connect()   // for a transaction; client.release() as always
//
// Copy this file. Why it does what it does: docs/clients.md.
'use strict'

const {GetSecretValueCommand, ResourceNotFoundException, SecretsManagerClient} = require('@aws-sdk/client-secrets-manager')
const {Pool} = require('pg')

// Between the new password's commit and the move of AWSCURRENT, only AWSPENDING logs in. AWSCURRENT comes twice because
// the rotation may end while AWSPENDING is looked at; AWSPREVIOUS is for a database that was restored.
const ORDER = ['AWSCURRENT', 'AWSPENDING', 'AWSCURRENT', 'AWSPREVIOUS']

// invalid_password and invalid_authorization_specification: the only errors that another password may mend.
const REFUSALS = new Set(['28P01', '28000'])

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

// Ends a pool when nobody waits for a connection of it: pg forgets those who do.
function retire(pool) {
  if (pool.waitingCount === 0) pool.end()
  else pool.once('release', () => setImmediate(retire, pool))
}

class RotatingPool {
  // `settings` are those of pg's Pool and outweigh the secret; `ssl.ca` names the roots, for example Amazon's bundle for RDS.
  constructor(secretId, settings = {}, client = new SecretsManagerClient()) {
    this.secretId = secretId
    this.settings = settings
    this.client = client
    this.pool = undefined
    this.search = undefined
  }

  // An open connection, through any rotation; gives up after `timeout` milliseconds with the last reason.
  async connect(timeout = 15_000) {
    const deadline = Date.now() + timeout
    for (;;) {
      const pool = this.pool
      try {
        if (pool) return await pool.connect()
      } catch (error) {
        if (!REFUSALS.has(error.code)) throw error
        this.refusal = error
      }
      // All that are refused at the same time wait for one search. Those who come late find another pool than they had.
      if (this.pool === pool) {
        this.search ??= this.#find(deadline).finally(() => (this.search = undefined))
        await this.search
      }
    }
  }

  async query(...statement) {
    const client = await this.connect()
    try {
      return await client.query(...statement)
    } finally {
      client.release()
    }
  }

  async end() {
    await this.pool?.end()
  }

  async #find(deadline) {
    // What the pool has was refused just now.
    const refused = new Set([this.tried])
    let reason = this.refusal ?? new Error(`secret ${this.secretId} has no version to log in with`)
    for (let round = 0; ; round++) {
      for (const stage of ORDER) {
        const version = await this.#read(stage)
        // Not twice, but for one that was refused as AWSPENDING, before the database knew it, and is current now.
        const tried = `${version?.VersionId} ${stage}`
        if (!version || refused.has(tried)) continue
        const pool = this.#poolOf(JSON.parse(version.SecretString))
        try {
          ;(await pool.connect()).release()
        } catch (error) {
          await pool.end()
          if (!REFUSALS.has(error.code)) throw error
          refused.add(tried)
          reason = error
          continue
        }
        // Open connections stay as they are: PostgreSQL asks for the password at login alone.
        if (this.pool) retire(this.pool)
        this.pool = pool
        this.stage = stage
        this.tried = tried
        return
      }
      const wait = Math.min(100 * 2 ** round, 1000) * (0.5 + Math.random() / 2)
      if (Date.now() + wait > deadline) throw reason
      await pause(wait)
    }
  }

  async #read(stage) {
    try {
      return await this.client.send(new GetSecretValueCommand({SecretId: this.secretId, VersionStage: stage}))
    } catch (error) {
      // AWSPENDING exists only during a rotation.
      if (error instanceof ResourceNotFoundException) return undefined
      throw error
    }
  }

  #poolOf({host, port, dbname, username, password}) {
    const pool = new Pool({host, port, database: dbname, ...this.settings, user: username, password})
    // An idle connection that ends is replaced; without a listener, Node would end the process.
    pool.on('error', () => {})
    return pool
  }
}

module.exports = {RotatingPool}
