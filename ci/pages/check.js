// Opens every page of a folder in Chromium, and prints what is wrong with it. Called by ci/pages.sh with the path of Chromium,
// a folder for its profile that does not exist yet, and the folder of pages; screenshots are written beside them.
'use strict'
const fs = require('node:fs')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { chromium } = require('playwright-core')

const [executablePath, profile, folder] = process.argv.slice(2)
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']
const widths = [1280, 390]
const colours = ['light', 'dark']
// The page whose size and time count.
const timed = 'minute.html'
const mostBytes = 2_000_000
const mostMs = 1000

// What a page has to be when it is open, as a list of what it is not. Runs in the page.
const look = `(() => {
  const found = []
  const root = document.documentElement
  if (root.scrollWidth > root.clientWidth) found.push('is ' + root.scrollWidth + ' pixels wide in ' + root.clientWidth)
  if (document.scripts.length > 0 || window.hostile !== undefined) found.push('has a script')
  for (const element of document.querySelectorAll('*')) {
    for (const { name } of element.attributes) {
      if (name.startsWith('on') || name === 'style') found.push(element.localName + ' has ' + name)
    }
  }
  for (const link of document.querySelectorAll('a[href]')) {
    if (new URL(link.href).protocol !== 'file:') found.push('leads to ' + link.href)
  }
  if (document.querySelectorAll('main#page').length !== 1) found.push('has not one main element')
  return found
})()`

// Evaluated by the debugger and not by the page, whose policy allows no script: this way the policy stays as it is.
async function evaluate (session, expression) {
  const answer = await session.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
  if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception?.description ?? answer.exceptionDetails.text)
  return answer.result.value
}

// The skip link is the first thing that the keyboard reaches, and it leads to the results.
async function checkKeyboard (page, session, problems) {
  await page.keyboard.press('Tab')
  const reached = await evaluate(session, 'document.activeElement.className')
  if (reached !== 'skip') problems.push('the keyboard does not reach the skip link first')
  await page.keyboard.press('Enter')
  const at = await evaluate(session, 'new Promise((resolve) => setTimeout(() => resolve(document.activeElement.id), 100))')
  if (at !== 'results') problems.push('the skip link does not lead to the results')
}

async function checkTime (file, session, problems) {
  const bytes = fs.statSync(file).size
  const ms = await evaluate(session, "performance.getEntriesByType('navigation')[0].loadEventEnd")
  console.log(`${timed}: ${bytes} bytes, loaded in ${ms.toFixed(0)} ms`)
  if (bytes >= mostBytes) problems.push(`has ${bytes} bytes, and ${mostBytes} are too many`)
  if (!(ms > 0 && ms < mostMs)) problems.push(`took ${ms} ms to load, and ${mostMs} are too many`)
}

async function checkAccessibility (session, problems) {
  await evaluate(session, axe)
  // Style sheets are not fetched again: the page's policy forbids it, and that would be an error in the console.
  const { violations } = await evaluate(session, "axe.run(document, { resultTypes: ['violations'], preload: false })")
  for (const { id, impact, nodes } of violations) {
    if (impact === 'serious' || impact === 'critical') problems.push(`${impact}: ${id} at ${nodes[0].target}`)
  }
}

// Of the whole page. Playwright's own screenshots put a style into the page, which the policy forbids.
async function takeScreenshot (session, file) {
  const { cssContentSize: { width, height } } = await session.send('Page.getLayoutMetrics')
  const clip = { x: 0, y: 0, width, height, scale: 1 }
  const { data } = await session.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true, clip })
  fs.writeFileSync(file, Buffer.from(data, 'base64'))
}

async function check (context, name, width, colour) {
  const file = path.join(folder, name)
  const problems = []
  const page = await context.newPage()
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => problems.push(`error: ${error.message}`))
  const url = pathToFileURL(file).href
  page.on('request', (request) => {
    // An anchor on the page is no request; the empty icon is data.
    if (request.url() !== url && !request.url().startsWith('data:')) problems.push(`asks for ${request.url()}`)
  })
  await page.setViewportSize({ width, height: 900 })
  await page.emulateMedia({ colorScheme: colour })
  await page.goto(url, { waitUntil: 'load' })
  const session = await context.newCDPSession(page)
  // The navigation's entry is complete once the load event is over.
  await evaluate(session, 'new Promise((resolve) => setTimeout(resolve, 0))')
  if (name === timed) await checkTime(file, session, problems)
  await takeScreenshot(session, path.join(folder, `${path.parse(name).name}-${width}-${colour}.png`))
  await checkKeyboard(page, session, problems)
  // What is folded away has to hold, too.
  await evaluate(session, "document.querySelectorAll('details').forEach((details) => { details.open = true })")
  problems.push(...await evaluate(session, look))
  await checkAccessibility(session, problems)
  await page.close()
  return problems
}

async function main () {
  const pages = fs.readdirSync(folder).filter((name) => name.endsWith('.html')).sort()
  if (pages.length === 0) throw new Error(`${folder} has no pages`)
  const context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args: flags })
  let failed = false
  for (const name of pages) {
    for (const width of widths) {
      for (const colour of colours) {
        const problems = await check(context, name, width, colour)
        for (const problem of problems) console.log(`FAILED: ${name}, ${width} pixels, ${colour}: ${problem}`)
        failed ||= problems.length > 0
      }
    }
    console.log(`${name}: looked at`)
  }
  await context.close()
  process.exitCode = failed ? 1 : 0
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
