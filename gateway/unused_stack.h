// Memory that a thread's stack has needed and does not need now.
#ifndef VALLM_GATEWAY_UNUSED_STACK_H_
#define VALLM_GATEWAY_UNUSED_STACK_H_

namespace vallm::gateway {

// Gives the pages of the calling thread's stack below its current frames back to the system; they
// come back as they are used. For threads that are about to wait for long: reading a request takes
// several times the stack that waiting for its answer does. Not for the main thread (does nothing).
void ReleaseUnusedStack();

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_UNUSED_STACK_H_
