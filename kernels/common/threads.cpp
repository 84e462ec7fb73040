// Threads start with the call and end with it. That costs about 20 us each, which the
// caller asked for by asking for more than one; in exchange nothing spins beside the
// engine's own threads, nothing breaks after a fork, and no runtime library is needed.
#include "common/threads.h"

#include <system_error>
#include <thread>

namespace fuseg {

void run_parts(int parts, void (*run)(const void* context, int part),
               const void* context) {
  std::thread others[kMostThreads];
  int started = 1;
  try {
    for (; started < parts; ++started) {
      others[started] = std::thread(run, context, started);
    }
  } catch (const std::system_error&) {  // no more threads: the caller does the rest
  }
  run(context, 0);
  for (int part = started; part < parts; ++part) run(context, part);
  for (int part = 1; part < started; ++part) others[part].join();
}

}  // namespace fuseg
