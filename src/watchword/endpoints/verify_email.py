"""Send links that verify an address, and act on them when they are opened."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from watchword.concurrency import call
from watchword.engine.accounts import find_credential, password_fingerprint
from watchword.engine.context import Context
from watchword.engine.email_proof import (
    PURPOSE,
    EmailProof,
    pretend_to_send,
    proof_of,
    send_new_address_verification,
    send_verification,
    value_of,
)
from watchword.engine.endpoint import get, post
from watchword.engine.identity import current_identity
from watchword.engine.options import EmailVerification, UserCallback
from watchword.engine.plugin import Plugin
from watchword.engine.redirects import redirect
from watchword.engine.sessions import NewSession
from watchword.errors import APIError, CoreError, OperationRefused, UniqueViolation
from watchword.http.bodies import UNSET, Answer, Body, Done, UnsetType
from watchword.http.emails import Email, canonical_email
from watchword.http.messages import Response
from watchword.storage.entities import Identity, User
from watchword.storage.query import F

__all__ = ["SendVerificationBody", "Verified", "VerifyEmail", "VerifyEmailQuery"]

# Marks a link that did its work: opened again, by a person after a mail scanner, it is told
# to have succeeded, and does nothing.
_SPENT: Final = "verify-email-spent"


class SendVerificationBody(Body, frozen=True):
    """Whose address is to be verified, and where the link leads on."""

    email: Email
    callback_url: str | UnsetType = UNSET


class VerifyEmailQuery(Body, frozen=True):
    """What the link carries."""

    token: str
    callback_url: str | UnsetType = UNSET


class Verified(Answer, frozen=True):
    """The link has worked; the user is told where the address was changed."""

    status: bool = True
    user: User | UnsetType | None = None


@dataclass(frozen=True, kw_only=True)
class VerifyEmail(Plugin):
    """Verifies addresses."""

    id = "verify-email"

    @post("/send-verification-email")
    async def send(self, ctx: Context, body: SendVerificationBody) -> Done:
        """Send a link; who is not signed in is answered alike for known and unknown addresses."""
        if ctx.options.email_verification is None:
            raise APIError(CoreError.VERIFICATION_EMAIL_NOT_ENABLED)
        email = canonical_email(body.email)
        identity = await current_identity(ctx)
        user = await _find(ctx, email) if identity is None else identity.user
        if identity is not None:
            if identity.user.email != email:
                raise APIError(CoreError.EMAIL_MISMATCH)
            if identity.user.email_verified:
                raise APIError(CoreError.EMAIL_ALREADY_VERIFIED)
        if user is None or user.email_verified:
            await pretend_to_send(ctx, email)
        else:
            await send_verification(ctx, user, body.callback_url)
        return Done()

    @get("/verify-email")
    async def verify(self, ctx: Context, query: VerifyEmailQuery) -> Verified | Response:
        """Act on a link: verify an address, confirm its change, or change it.

        A link acts once. A refusal burns nothing.
        """
        target = query.callback_url or UNSET
        try:
            verified = await self._act(ctx, query.token, target)
        except OperationRefused as error:
            return _refused(_hook_refusal(error), target)
        except APIError as refusal:
            return _refused(refusal, target)
        return verified if target is UNSET else redirect(target)

    async def _act(self, ctx: Context, token: str, target: str | UnsetType) -> Verified:
        proof, is_spent = await _find_proof(ctx, token)
        row = await ctx.store.find_one("user", F.id == proof.user_id)
        if row is None:
            raise APIError(CoreError.USER_NOT_FOUND, status=401)
        user = User.from_record(row)
        if user.email != proof.email:
            raise APIError(CoreError.INVALID_TOKEN)
        identity = await current_identity(ctx)
        if proof.new_email is not None and identity is not None and identity.user.id != user.id:
            raise APIError(CoreError.INVALID_USER)
        if is_spent:
            return _told_again(proof, user)
        done = await self._do(ctx, token, proof, _Opener(user, identity, target))
        # None: another opening of the link was faster; what it did is told now.
        return await self._act(ctx, token, target) if done is None else done

    async def _do(
        self, ctx: Context, token: str, proof: EmailProof, by: "_Opener"
    ) -> Verified | None:
        if proof.new_email is None:
            return await self._verify_address(ctx, token, proof, by)
        if proof.confirms_change:
            return await self._confirm_change(ctx, token, proof, by)
        return await self._change_address(ctx, token, proof, by)

    # --- what a link does ------------------------------------------------------------

    async def _verify_address(
        self, ctx: Context, token: str, proof: EmailProof, by: "_Opener"
    ) -> Verified | None:
        options, user, present = _options(ctx), by.user, by.identity
        if user.email_verified:
            return Verified()
        if options.before is not None:
            await call(options.before, user)
        signs_in = options.auto_sign_in and (present is None or present.user.id != user.id)

        async def write() -> tuple[User, NewSession | None] | None:
            changed = await _spend(ctx, token, user, email_verified=True)
            if changed is None:
                return None
            await _mark_spent(ctx, token, proof)
            session = await ctx.new_session_of(user.id) if signs_in else None
            await _tell(ctx, options.after, changed)
            return changed, session

        written = await ctx.store.run_in_transaction(write)
        if written is None:
            return None
        verified, session = written
        if session is not None:
            ctx.remember(session, verified)
        elif present is not None and present.user.id == user.id:
            tell = ctx.send_session_again if options.auto_sign_in else ctx.copy_session
            tell(present.session, verified)
        return Verified()

    async def _confirm_change(
        self, ctx: Context, token: str, proof: EmailProof, by: "_Opener"
    ) -> Verified | None:
        new_email = proof.new_email or ""

        async def write() -> Verified | None:
            await _require_same_password(ctx, proof)
            if await ctx.verifications.redeem(PURPOSE, token) is None:
                return None
            await _mark_spent(ctx, token, proof)
            if await ctx.store.count("user", F.email == new_email):
                await pretend_to_send(ctx, new_email)  # nothing is told of who has it
            else:
                await send_new_address_verification(ctx, by.user, proof, by.target)
            return Verified(user=UNSET)

        return await ctx.store.run_in_transaction(write)

    async def _change_address(
        self, ctx: Context, token: str, proof: EmailProof, by: "_Opener"
    ) -> Verified | None:
        async def write() -> User | None:
            await _require_same_password(ctx, proof)
            changed = await _spend(ctx, token, by.user, email=proof.new_email)
            if changed is not None and changed.email_verified:
                await _tell(ctx, _options(ctx).after, changed)
            return changed

        try:
            changed = await ctx.store.run_in_transaction(write)
        except UniqueViolation as error:
            # Told to who reads the mail of that address, and to nobody else.
            raise APIError(CoreError.USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL) from error
        if changed is None:
            return None
        if by.identity is not None:
            ctx.send_session_again(by.identity.session, changed)
        return Verified(user=changed)


@dataclass(frozen=True, slots=True)
class _Opener:
    """Whose link it is, who is signed in where it is opened, and where the browser goes on."""

    user: User
    identity: Identity | None
    target: str | UnsetType


async def _find(ctx: Context, email: str) -> User | None:
    row = await ctx.store.find_one("user", F.email == email)
    return None if row is None else User.from_record(row)


def _options(ctx: Context) -> EmailVerification:
    return ctx.options.email_verification or EmailVerification()


async def _find_proof(ctx: Context, token: str) -> tuple[EmailProof, bool]:
    """Return what a link proves, and whether it has done its work.

    Raises:
        APIError: Nothing, or not any more.
    """
    found = await ctx.verifications.find(PURPOSE, token)
    spent = None if found is not None else await ctx.verifications.find(_SPENT, token)
    known = found or spent
    if known is None:
        raise APIError(CoreError.INVALID_TOKEN)
    if known.is_expired:
        raise APIError(CoreError.TOKEN_EXPIRED)
    return proof_of(known.value), spent is not None


async def _spend(ctx: Context, token: str, user: User, **changes: object) -> User | None:
    """Redeem a link for a change of its user; None if another was faster.

    Raises:
        APIError: The user is not any more as the link found them.
    """
    if await ctx.verifications.redeem(PURPOSE, token) is None:
        return None
    unchanged = (F.id == user.id) & (F.email == user.email)
    row = await ctx.store.update("user", unchanged, changes)
    if row is None:
        raise APIError(CoreError.INVALID_TOKEN)
    return User.from_record(row)


async def _require_same_password(ctx: Context, proof: EmailProof) -> None:
    """Refuse a change that was asked for under another password; hold the present one."""
    account = await find_credential(ctx.store, proof.user_id, lock=True)
    if password_fingerprint(account) != proof.password:
        raise APIError(CoreError.INVALID_TOKEN)


async def _mark_spent(ctx: Context, token: str, proof: EmailProof) -> None:
    lifetime = _options(ctx).expires_in
    await ctx.verifications.issue(_SPENT, value_of(proof), token=token, expires_in=lifetime)


def _told_again(proof: EmailProof, user: User) -> Verified:
    """Answer who opens a link that did its work, if what it did still holds."""
    if proof.confirms_change:
        return Verified(user=UNSET)
    if not user.email_verified:
        raise APIError(CoreError.INVALID_TOKEN)
    return Verified()


async def _tell(ctx: Context, callback: UserCallback | None, user: User) -> None:
    if callback is not None:
        await ctx.store.after_commit(partial(call, callback, user))


def _hook_refusal(error: OperationRefused) -> APIError:
    if error.model == "session":
        return APIError(CoreError.FAILED_TO_CREATE_SESSION, status=500)
    return APIError(CoreError.OPERATION_REFUSED)


def _refused(refusal: APIError, target: str | UnsetType) -> Response:
    """Lead a browser on with the code; others get the refusal itself."""
    if target is UNSET or refusal.code is None:
        raise refusal
    return redirect(target, error=refusal.code.name)
