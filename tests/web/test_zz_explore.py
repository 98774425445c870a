import random, threading, time, collections, traceback
from dataclasses import replace
import pytest
from tests.databases import opened
from tests.factories import *
from tokensrv.errors import *
from tokensrv.domain.caller import Refused
from tokensrv.services import user_states, users, passwords
from tokensrv.services.account import *
from tokensrv.services.account import signing_in, second_step, own_password, resets, sessions, endings, impersonation, second_factors, throttle
from tokensrv.services.account.factors import totp, recovery_codes
from tokensrv.services.account.proof import Denied
from tokensrv.services.account.sessions import Browser, Stage, NewSession
from tokensrv.services.events import COMMAND_LINE, Origin
from tokensrv.clock import SystemClock
pytestmark = pytest.mark.usefixtures("cheap_hashes")
PW="correct horse battery"
def test_stress(settings):
    with opened(replace(settings, threads=32, throttle=True), SystemClock()) as store:
        us=[make_user(store,f"u{i}",password=PW) for i in range(4)]
        root=make_admin(store,password=PW)
        rootnew=signing_in.sign_in(store,Origin(),"root",PW,Browser("192.0.2.9","x"))
        live=collections.deque(maxlen=12)
        stats=collections.Counter()
        apps={}
        def cur():
            if not live: return None
            n=random.choice(list(live)); return sessions.find(store,n.secret,Browser("192.0.2.7","x"))
        def o(c): return Origin(caller=c.caller if c else None, ip="192.0.2.7", request_id="r")
        B=lambda: Browser(random.choice(["192.0.2.7","192.0.2.8"]),"x")
        def keep(x):
            if isinstance(x,NewSession): live.append(x)
            return x
        def signin():
            return keep(signing_in.sign_in(store,Origin(),random.choice(us).username,random.choice([PW,PW,"bad pass"]),B(),previous=cur()))
        def again():
            c=cur()
            if c and c.caller: keep(signing_in.confirm_again(store,o(c),c,PW,B()))
        def setpw():
            c=cur()
            if c and c.caller: keep(own_password.set_own_password(store,o(c),c,PW,PW,B()))
        def verify():
            c=cur()
            if c: keep(second_step.verify_code(store,o(c),c,random.choice(["000000",*apps.get(c.user.id,[])][:3]),B()))
        def begin():
            c=cur()
            if c and c.caller:
                import pyotp
                s=totp.begin(store,o(c),c); ch=totp.confirm(store,o(c),c,pyotp.TOTP(s.secret).now()); apps[c.user.id]=list(ch.recovery_codes); keep(ch.session)
        def rm():
            c=cur()
            if c and c.caller: keep(totp.remove(store,o(c),c).session)
        def reset():
            l=resets.make(store,COMMAND_LINE,random.choice(us).id); resets.use(store,Origin(),l.secret,PW)
        def out():
            c=cur()
            if c: endings.sign_out(store,o(c),c)
        def others():
            c=cur()
            if c and c.caller: endings.end_others(store,o(c),c)
        def block():
            u=random.choice(us); user_states.block(store,COMMAND_LINE,u.id); user_states.unblock(store,COMMAND_LINE,u.id)
        def rmall(): second_factors.remove_all(store,COMMAND_LINE,random.choice(us).id)
        rs=[rootnew]
        def imp():
            c=sessions.find(store,rs[0].secret,B())
            if c is None: rs[0]=signing_in.sign_in(store,Origin(),"root",PW,B()); return
            if c.is_impersonating: rs[0]=impersonation.stop(store,o(c),c)
            else: rs[0]=impersonation.start(store,o(c),c,random.choice(us).id,"why")
        ops=[signin]*4+[again,again,setpw,verify,verify,begin,rm,reset,out,others,block,rmall,imp]
        end=time.monotonic()+20
        def run():
            while time.monotonic()<end:
                op=random.choice(ops)
                try: r=op(); stats[op.__name__,"denied" if isinstance(r,Denied) else "ok"]+=1
                except (StorageUnavailable,) as e: stats[op.__name__,"STORAGE",repr(e.__cause__)[:200]]+=1
                except (TokensrvError,Refused) as e: stats[op.__name__,type(e).__name__]+=1
                except Exception as e: stats[op.__name__,"BUG",traceback.format_exc()[-900:]]+=1
        ts=[threading.Thread(target=run) for _ in range(8)]
        [t.start() for t in ts]; [t.join() for t in ts]
        for k,v in sorted(stats.items()): print(*k,v)
