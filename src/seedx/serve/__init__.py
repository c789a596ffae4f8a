"""An OpenAI-compatible server over one loaded model: `seedx serve`.

schemas, messages           what clients send, each field honoured or refused by name -> conversations
service, replies            requests -> jobs, and their events for coroutines
jobs, scheduler             the one thread that runs the model: replies and images join and leave between passes
prefix_cache                turns that were read before
chat, images, responses     the endpoints; `app` puts them together, `server` runs it
guard, fetch                keys, limits and pictures by address
"""
