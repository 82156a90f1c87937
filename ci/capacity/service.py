"""A service whose limit is known: so many workers, each of which takes the same time for an upload, in the order of arrival.

usage: service.py WORKERS MILLISECONDS

It prints its URL, and answers uploads as an ingester does. When a request ends is computed when it arrives: it begins when the
first worker is free, and ends a fixed time later. So what the event loop is late by does not add up, and the service is the
queue M/D/k where arrivals are random.
"""

import asyncio
import hashlib
import heapq
import json
import math
import sys


class Workers:
    def __init__(self, number, seconds):
        self.free = [0.0] * number
        self.seconds = seconds

    def end_of(self, arrived):
        end = max(arrived, self.free[0]) + self.seconds
        heapq.heapreplace(self.free, end)
        return end


def file_of(body, head):
    """The content of the last part of a form."""
    boundary = head.lower().split(b"boundary=")[1].split(b"\r\n")[0]
    start = body.index(b"\r\n\r\n", body.rindex(b'name="file"')) + 4
    # The boundary is as it was sent; only its length is needed.
    return body[start : len(body) - len(boundary) - len(b"\r\n----\r\n")]


def answer(status, text):
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


async def converse(reader, writer, workers):
    loop = asyncio.get_running_loop()
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                writer.write(answer("200 OK", '{"status":"ok"}'))
                continue
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(int(length.split(b":")[1]))
            end = workers.end_of(loop.time())
            file = file_of(body, head)
            text = json.dumps({"file_size": len(file), "checksum": hashlib.sha256(file).hexdigest()})
            await asyncio.sleep(end - loop.time())
            writer.write(answer("201 Created", text))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve(workers):
    server = await asyncio.start_server(lambda r, w: converse(r, w, workers), "127.0.0.1", 0, backlog=4096)
    print("http://%s:%d" % server.sockets[0].getsockname()[:2], flush=True)
    await server.serve_forever()


def share_with(load, workers, at_least, most):
    """Share of time in which so many requests are there, by the chain of Crommelin (1932)."""
    mean = load * workers
    arrivals = [math.exp(-mean)]
    for n in range(1, 40):
        arrivals.append(arrivals[-1] * mean / n)
    chances = [[0.0] * most for _ in range(most)]
    for there in range(most):
        for arrived, chance in enumerate(arrivals):
            chances[there][min(max(there - workers, 0) + arrived, most - 1)] += chance
    # Grassmann, Taksar and Heyman (1985).
    for last in range(most - 1, 0, -1):
        away = sum(chances[last][:last])
        for row in chances[:last]:
            row[last] /= away
            if row[last] > 0:
                for state in range(last):
                    row[state] += row[last] * chances[last][state]
    shares = [1.0]
    for state in range(1, most):
        shares.append(sum(share * chances[before][state] for before, share in enumerate(shares)))
    return sum(shares[at_least:]) / sum(shares)


def solve(workers, times):
    """The load, as a share of what all workers can do, at which 1 % of requests take longer than so many times of service.

    src/load/capacity/simulation.rs solves for the same: see there.
    """
    low, high = 0.5, 1.0
    for _ in range(12):
        load = (low + high) / 2
        if share_with(load, workers, workers * times, 6 * workers * times) < 0.01:
            low = load
        else:
            high = load
    return (low + high) / 2


if __name__ == "__main__":
    asyncio.run(serve(Workers(int(sys.argv[1]), float(sys.argv[2]) / 1e3)))
