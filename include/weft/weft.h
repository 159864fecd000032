// SPDX-License-Identifier: MIT
//
// weft.h: all of Weft.
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

#include <weft/base.h>
#include <weft/version.h>
#include <weft/error.h>
#include <weft/future.h>
#include <weft/task.h>
#include <weft/scope.h>
#include <weft/sync.h>
#include <weft/thread.h>
#include <weft/process.h>
#include <weft/job.h>
#include <weft/executor.h>
#include <weft/work.h>
#include <weft/combine.h>
#include <weft/parallel.h>
#include <weft/graph.h>
#include <weft/process_pool.h>
#include <weft/program.h>
#include <weft/io.h>
#include <weft/stream.h>
#include <weft/net.h>
#include <weft/dns.h>
#include <weft/queue.h>
#include <weft/signal.h>
#include <weft/arena.h>
#include <weft/connection.h>
#include <weft/buffer.h>
#include <weft/manager.h>
#include <weft/channel.h>
#include <weft/select.h>
#include <weft/timer.h>
#include <weft/local.h>

#endif
